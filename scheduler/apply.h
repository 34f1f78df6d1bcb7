// scheduler/apply.h – the cluster as a state machine: what an event changes, and what is to be done about it.
// Total and deterministic: any event in any order is either taken or, being stale or nonsense, changes
// nothing. Threads: none of its own.
#pragma once

#include <cstdint>

#include "scheduler/cluster.h"
#include "scheduler/effect.h"
#include "scheduler/event.h"

namespace paddock::scheduler {

// Appends to `effects`. Queued jobs that fit are placed in the same step.
void apply(Cluster& cluster, const Event& event, Effects& effects);

}  // namespace paddock::scheduler
