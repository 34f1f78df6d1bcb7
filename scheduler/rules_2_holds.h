// scheduler/rules_2_holds.h – what rules 2 keep nodes by and ask attempts to go by: rules_2.h. Internal to the scheduler.
#pragma once

#include <optional>
#include <vector>

#include "scheduler/placement.h"
#include "scheduler/step.h"

namespace paddock::scheduler {

std::optional<Hold> kept_hold_2(const Cluster& cluster, const JobKey& key, const Wanted& wanted,
                                const Nodes& closed, Instant now);
std::optional<Hold> new_hold_2(const Cluster& cluster, const JobKey& key, const Wanted& wanted,
                               const Nodes& closed);
Nodes closed_to_2(const std::vector<Hold>& holds, Millis time_limit, Millis grace, Instant now);
void preempt_for_2(Step& step, Hold& hold, std::int64_t priority, const Wanted& wanted, const Nodes& closed);

}  // namespace paddock::scheduler
