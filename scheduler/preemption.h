// scheduler/preemption.h – room for a job of higher priority: attempts of lower priority that can go on from a
// checkpoint are asked to stop and queued again, at no cost to their retries. The lowest priority goes first, of
// one priority the newest, and no more than it takes. Internal to the scheduler.
#pragma once

#include "scheduler/placement.h"
#include "scheduler/step.h"

namespace paddock::scheduler {

// Ends what has to go for the job of `hold`, of priority `priority`, on nodes not in `closed`, and keeps those
// nodes for it. Nothing happens while what was asked to go before is still there, or when it would not help.
void preempt_for(Step& step, Hold& hold, std::int64_t priority, const Wanted& wanted, const Nodes& closed);

}  // namespace paddock::scheduler
