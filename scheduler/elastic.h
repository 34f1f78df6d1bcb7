// scheduler/elastic.h – gangs that begin with fewer nodes than they would like (resources.nodes_min) and grow: when
// such an attempt has saved itself and more nodes are free that nobody waits for, it is ended and starts again on
// more. Internal to the scheduler.
#pragma once

#include "scheduler/step.h"

namespace paddock::scheduler {

// A restart costs something, so an attempt that has just begun is left alone.
inline constexpr Millis kGrowsAfter = std::chrono::minutes(5);

// `found` has recorded a checkpoint.
void grow_at_checkpoint(Step& step, const Found& found);

// On how many nodes the attempt runs.
std::uint32_t nodes_of(const Attempt& attempt, const Request& request);

}  // namespace paddock::scheduler
