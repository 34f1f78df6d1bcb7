// scheduler/rules_1.h – placement as journals know it whose last CoordinatorStarted named no rules. A replay
// decides again, so it must decide as it was decided then (Cluster::rules in cluster.h); nothing else may use
// this, and nothing in it changes. Internal to the scheduler.
#pragma once

#include "scheduler/step.h"

namespace paddock::scheduler {

void place_queued_by_rules_1(Step& step);

}  // namespace paddock::scheduler
