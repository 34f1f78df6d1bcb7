// coordinator/submission.h – a checked GraphSpec as the scheduler's GraphSubmitted. Threads: pure functions.
#pragma once

#include <string>

#include "base/result.h"
#include "jobs/spec/graph_spec.h"
#include "scheduler/event.h"

namespace paddock::coordinator {

scheduler::Request to_request(const spec::Resources& resources);

// kInvalid: something that the scheduler cannot hold (scheduler::check_graph).
Result<scheduler::GraphSubmitted> to_submission(const spec::GraphSpec& graph, std::string token);

}  // namespace paddock::coordinator
