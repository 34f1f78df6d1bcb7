// scheduler/dispatch.h – one decision: who of the queue starts now, and where. Whose turn it is says priority.h,
// whether it may quota.h, which nodes placement.h, for whom some are kept backfill.h, who has to go for it
// preemption.h. Internal to the scheduler.
#pragma once

#include "scheduler/step.h"

namespace paddock::scheduler {

// Starts every queued job that can run now.
void place_queued(Step& step);

}  // namespace paddock::scheduler
