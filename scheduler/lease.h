// scheduler/lease.h – what time alone brings about. The events made here are journaled like all others, so
// that replay needs no clock. Threads: pure functions.
#pragma once

#include <optional>
#include <vector>

#include "scheduler/cluster.h"
#include "scheduler/event.h"

namespace paddock::scheduler {

// NodeLost for leases that ran out, BackoffEnded for pauses that are over, CordonEnded and TimeLimitReached for attempts
// whose time is up, RestDue for what decisions have not come to, at or before `now`.
std::vector<What> due(const Cluster& cluster, Instant now);

// When due() will have something next.
std::optional<Instant> next_deadline(const Cluster& cluster);

}  // namespace paddock::scheduler
