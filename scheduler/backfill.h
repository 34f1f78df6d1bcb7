// scheduler/backfill.h – nodes kept for jobs that come first and do not fit yet, so that no gang is overtaken for
// ever (EASY backfill: Lifka 1995). From the time limits of what runs follows when each node will have room, and so when the
// gang can start at the latest; a later job may use the nodes meanwhile only if its own time limit ends it before
// that. Where running jobs have no limits nobody knows, and the nodes stay free. Threads: pure functions.
#pragma once

#include <optional>

#include "scheduler/placement.h"

namespace paddock::scheduler {

// So many kinds of jobs are tried in vain before the rest of the queue waits for the next decision: it may be of any length
// and a decision still short (as bf_max_job_test of Slurm).
inline constexpr std::size_t kTriedInVainMax = 2'000;
// And so many groups of jobs are looked at, be it that their kind has been tried, or that their tenant may not.
inline constexpr std::size_t kPassedOverMax = 10'000;
// So often a decision looks for nodes to keep. Jobs for which the whole cluster is too small do not count.
inline constexpr std::size_t kSearchesMax = 8;
// Of these for one job, which searches again where what it found is reserved by then.
inline constexpr int kSearchesOfAJobMax = 3;

// Nodes for it, none of `closed`, those first that have room soonest; none: there are too few others.
std::optional<Hold> new_hold(const Cluster& cluster, const JobKey& key, const Wanted& wanted,
                             const Closed& closed, Instant now);

// Whether there would be too few nodes for it if nothing ran and nothing was kept.
bool is_too_large(const Cluster& cluster, const Request& request);

// Whether what is kept can still be had in time, as far as the nodes themselves tell.
bool is_good_still(const Cluster& cluster, const Hold& hold, const Wanted& wanted);

// Whether a job with this time limit (0: none) and grace that starts now has gone when the nodes are needed.
bool ends_before(const Hold& hold, Millis time_limit, Millis grace, Instant now);

// nullptr: none is kept for it.
const Hold* find_hold(const Cluster& cluster, const JobKey& key);

}  // namespace paddock::scheduler
