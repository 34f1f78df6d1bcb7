// simulation/checks/rare_things.h – no promise: says which rare things the scheduler has done, so that the simulation notices
// when its load no longer leads to them (probes in simulation.cpp). Looked at after every turn. Threads: one owner.
#pragma once

#include <set>
#include <string>

#include "scheduler/cluster.h"
#include "simulation/trace.h"

namespace paddock::simulation {

class RareThings {
 public:
  explicit RareThings(Trace& trace) : trace_(trace) {}

  void look(const scheduler::Cluster& cluster) {
    for (const auto& [id, graph] : cluster.graphs)
      for (const auto& [name, job] : graph.jobs) look_at(job);
    for (const scheduler::Hold& hold : cluster.holds)
      if (hold.nodes.size() > 1) trace_.probe("nodes kept for a gang");
    for (const auto& [name, node] : cluster.nodes)
      if (node.cordon && node.cordon->is_drain && !node.attempts.empty())
        trace_.probe("node drained under a running rank");
  }

 private:
  void look_at(const scheduler::Job& job) {
    if (job.is_cached) trace_.probe("job taken from the cache");
    if (job.state == scheduler::JobState::kSkipped && job.reason.find("condition") != std::string::npos)
      trace_.probe("job skipped because its condition does not hold");
    if (job.attempts.empty()) return;
    const scheduler::Attempt& attempt = job.attempts.back();
    const scheduler::Request& request = job.request.resources;
    if (attempt.ranks.size() < request.world_size())
      trace_.probe("gang began with fewer nodes than it wants");
    if (attempt.outcome == scheduler::Outcome::kTimedOut) trace_.probe("time limit reached");
    if (attempt.outcome == scheduler::Outcome::kPreempted) {
      if (attempt.reason.starts_with("makes room")) trace_.probe("job preempted");
      if (attempt.reason.starts_with("grows")) trace_.probe("gang asked to stop so that it can grow");
    }
  }

  Trace& trace_;
};

}  // namespace paddock::simulation
