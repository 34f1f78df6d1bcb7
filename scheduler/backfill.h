// scheduler/backfill.h – nodes kept for jobs that come first and do not fit yet, so that no gang is overtaken for
// ever (EASY backfill: Lifka 1995). From the time limits of what runs follows when the gang can start at the
// latest; a later job may use the nodes meanwhile only if its own time limit ends it before that. Where running
// jobs have no limits nobody knows, and the nodes stay free. Threads: pure functions.
#pragma once

#include <optional>
#include <vector>

#include "scheduler/placement.h"

namespace paddock::scheduler {

// So many jobs at once have nodes kept for them: more would leave more idle, fewer let gangs wait one by one.
inline constexpr std::size_t kHoldsMax = 4;

// What is kept for it already, if those nodes, none of `closed`, can still be had in time.
std::optional<Hold> kept_hold(const Cluster& cluster, const JobKey& key, const Wanted& wanted,
                              const Nodes& closed, Instant now);

// Nodes for it, none of `closed`; none: the cluster is too small for it.
std::optional<Hold> new_hold(const Cluster& cluster, const JobKey& key, const Wanted& wanted,
                             const Nodes& closed);

// The nodes that a job with this time limit (0: none) and grace must leave alone.
Nodes closed_to(const std::vector<Hold>& holds, Millis time_limit, Millis grace, Instant now);

// nullptr: none is kept for it.
const Hold* find_hold(const Cluster& cluster, const JobKey& key);

}  // namespace paddock::scheduler
