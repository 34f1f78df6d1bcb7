// scheduler/preemption.h – room for a job of higher priority: attempts of lower priority that can go on from a
// checkpoint are asked to stop and queued again, at no cost to their retries. The lowest priority goes first, of
// one priority the newest, and no more than it takes. Threads: pure functions.
#pragma once

#include <optional>
#include <set>

#include "scheduler/placement.h"

namespace paddock::scheduler {

// Who has to go, and which nodes then have room.
struct Clearing {
  Nodes nodes;
  std::set<Fence> victims;
};

// For a job of that priority, on nodes not in `closed`; none: it would not help.
std::optional<Clearing> find_clearing(const Cluster& cluster, std::int64_t priority, const Wanted& wanted,
                                      const Closed& closed);

// Whether those who were asked to go are still there, or it was in vain a moment ago: then nobody else is asked.
bool is_clearing(const Cluster& cluster, const Hold& hold, Instant now);

}  // namespace paddock::scheduler
