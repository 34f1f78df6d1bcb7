// scheduler/job.h – how a job moves from state to state, and what that means for its graph. Internal to the
// scheduler.
#pragma once

#include <string>

#include "scheduler/step.h"

namespace paddock::scheduler {

// Every change of state goes through here: keeps the queue, the backoffs, the graph's count and the log in
// step. A terminal job stays as it is.
void move_job(Step& step, const JobKey& key, JobState state, std::string reason = {});
void move_job(Step& step, Graph& graph, Job& job, JobState state, std::string reason = {});

// Makes the job terminal, then settles its dependants (edges.h) and its graph.
void finish_job(Step& step, const JobKey& key, JobState state, std::string reason);

// Succeeded: its artifacts also serve every queued job with the same stage key.
void succeed_job(Step& step, const JobKey& key);

}  // namespace paddock::scheduler
