// simulation/workload/workload.h – what a cluster is to be tried on: jobs with the time at which they come, and the cluster.
// Threads: values.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/limits.h"

namespace paddock::simulation {

struct TraceJob {
  std::int64_t number = 0;      // as the trace calls it
  std::int64_t submit_s = 0;    // seconds since the trace began
  std::int64_t run_s = 1;       // how long it runs, whatever was asked for; at least 1
  std::int64_t estimate_s = 1;  // what was asked for, at least run_s
  std::int64_t processors = 1;
  std::int64_t user = -1;  // -1: unknown
  bool has_failed = false;
  bool ran_over = false;  // longer than was asked for
};

// Lines of a trace that are no jobs to be replayed, and why.
struct Skipped {
  std::uint64_t cancelled = 0;     // before they started
  std::uint64_t partial = 0;       // a piece of a job that has a line of its own
  std::uint64_t without_run = 0;   // run time unknown
  std::uint64_t without_size = 0;  // neither asked for nor given processors are known
  bool operator==(const Skipped&) const = default;
};

struct Workload {
  std::vector<TraceJob> jobs;  // by submit_s
  Skipped skipped;
  std::uint64_t failed = 0;             // among the jobs: they ran, and failed; replayed like the others
  std::uint64_t longer_than_asked = 0;  // among the jobs: run_s is taken as what was asked for
  std::int64_t max_nodes = 0;  // of the machine that the trace is of, as its header says; 0: it does not
  std::int64_t max_processors = 0;
};

// The cluster: nodes that are alike.
struct Machines {
  std::int64_t nodes = 1;
  std::int64_t cores = 1;  // of each
};

// The gang that a job is there: on as few nodes as can hold it, as many cores on each.
struct Gang {
  std::int64_t nodes = 1;
  std::int64_t cores = 1;  // on each node
};
inline Gang gang_of(const TraceJob& job, const Machines& machines) {
  const std::int64_t nodes = (job.processors + machines.cores - 1) / machines.cores;
  return {nodes, (job.processors + nodes - 1) / nodes};
}
// A gang may have only so many nodes, also on a larger cluster.
inline bool fits(const TraceJob& job, const Machines& machines) {
  return gang_of(job, machines).nodes <=
         std::min(machines.nodes, static_cast<std::int64_t>(limits::kRanksPerAttemptMax));
}

}  // namespace paddock::simulation
