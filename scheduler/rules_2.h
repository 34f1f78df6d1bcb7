// scheduler/rules_2.h – placement as journals know it whose last CoordinatorStarted named rules 2: every decision visits
// everybody that is queued, and looks for nodes to keep and for who has to go among a bounded number of attempts. As with
// rules_1.h, nothing but a replay may use this, and nothing in it changes. Internal to the scheduler.
#pragma once

#include "scheduler/step.h"

namespace paddock::scheduler {

void place_queued_by_rules_2(Step& step);

}  // namespace paddock::scheduler
