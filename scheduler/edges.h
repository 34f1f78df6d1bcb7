// scheduler/edges.h – what a job that needs others waits for, and when that can no longer come.
//   success: it succeeded. failure: it failed, or was skipped because of a failure before it, so that one job
//   can answer for a whole chain. always: it has ended, in whatever way.
// Threads: pure functions.
#pragma once

#include "scheduler/graph.h"

namespace paddock::scheduler {

// What `job` waits for in `need`: success where it does not say.
On edge_of(const JobRequest& job, const JobName& need);

enum class EdgeState { kOpen, kHolds, kBroken };

EdgeState state_of(On on, const Job& need);

// The job counts as a failure of its graph, and of all that waits for its success.
bool is_bad(const Job& job);

std::string_view name_of(On on);

}  // namespace paddock::scheduler
