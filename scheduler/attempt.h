// scheduler/attempt.h – the life of an attempt: placed as a whole, ended as a whole. Internal to the
// scheduler.
//
// The first rank that does not exit with 0 ends the gang; the attempt is over when all its ranks are. Its
// outcome is that first cause, with two exceptions: a cancelled graph cancels, and a node that is lost while
// the gang is being ended explains the other ranks' failures, so it takes their place.
#pragma once

#include <string>
#include <vector>

#include "scheduler/event.h"
#include "scheduler/step.h"

namespace paddock::scheduler {

// Starts the next attempt of a queued job on `nodes`, which can take it; rank 0 is on the first.
void start_attempt(Step& step, const JobKey& key, const std::vector<NodeId>& nodes,
                   const StartReason& reason = {});

void end_rank(Step& step, const RankEnded& ended);

// Ends all ranks on `node` as lost, without waiting for its worker. With `is_fault` the node is suspected.
void lose_ranks(Step& step, Node& node, const std::string& reason, bool is_fault);

// Its time limit is over: it is asked to stop, and killed after its grace period.
void end_overdue(Step& step, Fence fence);

// Asks it to save itself and stop; its job is queued again, at no cost to its retries. Nothing if it ends already.
void preempt_attempt(Step& step, Fence fence, const std::string& reason);

void cancel_attempt(Step& step, const JobKey& key, const std::string& reason);

}  // namespace paddock::scheduler
