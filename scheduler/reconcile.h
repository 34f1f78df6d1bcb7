// scheduler/reconcile.h – compares what a node holds with what it should hold, at every join and heartbeat.
// So a lost StartRanks or EndAttempt costs a heartbeat, never a job. Threads: pure functions.
#pragma once

#include <set>
#include <utility>
#include <vector>

#include "scheduler/cluster.h"
#include "scheduler/effect.h"
#include "scheduler/event.h"

namespace paddock::scheduler {

using Held = std::set<std::pair<Fence, RankId>>;

struct Reconciliation {
  Effects effects;           // StartRanks for what is missing, EndAttempt for what is too much
  std::vector<What> events;  // RankEnded for ranks that cannot have started; to be journaled
};

// `held` is what the node says it runs, in a message that came at `now`. `lease`: how long a worker can go
// unheard; an attempt that was told to end longer ago than that and is not held never reached the worker. A
// ready node that says what it holds only; others have nothing to reconcile.
Reconciliation reconcile(const Cluster& cluster, const NodeId& node, const Held& held, Instant now,
                         Millis lease);

}  // namespace paddock::scheduler
