// scheduler/submission.h – how a graph comes into the cluster, and how it is called off. Internal to the scheduler.
#pragma once

#include <string>

#include "scheduler/event.h"
#include "scheduler/step.h"

namespace paddock::scheduler {

// Of which schedule (schedule.h) a graph is a run; "": it was submitted by itself.
struct RunOf {
  std::string schedule;
  WallTime time;
};

// Nothing, if the token is known or the graph is none.
void submit_graph(Step& step, const GraphSubmitted& submitted, const RunOf& run = {});

void cancel_graph(Step& step, GraphId id, const std::string& reason);

}  // namespace paddock::scheduler
