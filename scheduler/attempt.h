// scheduler/attempt.h – the life of an attempt: placed as a whole, ended as a whole. Internal to the
// scheduler.
//
// The first rank that does not exit with 0 ends the gang; the attempt is over when all its ranks are. Its
// outcome is that first cause, with two exceptions: a cancelled graph cancels, and a node that is lost while
// the gang is being ended explains the other ranks' failures, so it takes their place.
#pragma once

#include <string>

#include "scheduler/event.h"
#include "scheduler/placement.h"

namespace paddock::scheduler {

// Starts the next attempt of a queued job on `nodes`, which can take it.
void start_attempt(Step& step, const JobKey& key, const Nodes& nodes);

void end_rank(Step& step, const RankEnded& ended);

// Ends all ranks on `node` as lost, without waiting for its worker.
void lose_ranks(Step& step, Node& node, const std::string& reason);

// Its time limit is over: it is asked to stop, and killed after its grace period.
void end_overdue(Step& step, Fence fence);

void cancel_attempt(Step& step, const JobKey& key, const std::string& reason);

}  // namespace paddock::scheduler
