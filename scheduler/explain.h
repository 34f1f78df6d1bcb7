// scheduler/explain.h – why a job is in its state, in one sentence for its owner. Threads: pure functions.
#pragma once

#include <string>

#include "scheduler/cluster.h"

namespace paddock::scheduler {

// "waits for a node with 2 free cores: a has 1 of 2 free". "" if there is no such job.
std::string explain(const Cluster& cluster, const JobKey& job, Moment at);

// "it started when it did because …; it got 2 nodes of one rack, r1"; "": an older version started it.
std::string why_started(const Cluster& cluster, const JobKey& job, const Attempt& attempt);

// For a job that is not submitted: "would run now on a, b", or what it would wait for.
std::string explain_request(const Cluster& cluster, const Request& request);

}  // namespace paddock::scheduler
