// simulation/checks/right_ends.h – terminal states never change, and a job succeeds only by an attempt of which every rank
// really came to its end: no stale attempt is committed, no half gang counts. Looked at after every turn of the
// coordinator. Threads: one owner.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "scheduler/cluster.h"
#include "simulation/trace.h"

namespace paddock::simulation {

class RightEnds {
 public:
  explicit RightEnds(Trace& trace) : trace_(trace) {}

  // The truth: this rank exited 0.
  void rank_done(Fence fence, RankId rank) {
    done_.insert({fence, rank});
    made_.insert(path_of(fence));
  }

  void look(const scheduler::Cluster& cluster) {
    for (const auto& [id, graph] : cluster.graphs)
      for (const auto& [name, job] : graph.jobs) look_at({id, name}, job);
  }

 private:
  void look_at(const JobKey& key, const scheduler::Job& job) {
    const auto known = ends_.find(key);
    const std::string shown = job_name(key);
    if (known != ends_.end()) {
      if (known->second != job.state)
        trace_.violated("right ends: " + shown + " had ended " + std::string(name_of(known->second)) +
                        " and is " + std::string(name_of(job.state)));
      return;
    }
    if (!scheduler::is_terminal(job.state)) return;
    ends_.emplace(key, job.state);
    trace_.note(shown + " " + std::string(name_of(job.state)));
    if (job.state != scheduler::JobState::kSucceeded) return;
    if (job.is_cached) return look_at_cached(shown, job);
    const scheduler::Attempt& attempt = job.attempts.back();

    for (std::uint32_t rank = 0; rank < attempt.ranks.size(); ++rank) {
      if (!done_.contains({attempt.fence, RankId{rank}}))
        trace_.violated("right ends: " + shown + " succeeded by attempt " +
                        std::to_string(attempt.fence.value) + ", whose rank " + std::to_string(rank) +
                        " has not");
    }
    const std::string made_by = path_of(attempt.fence);
    for (const auto& [name, artifact] : job.artifacts)
      if (artifact.path != made_by)
        trace_.violated("right ends: " + shown + " has an artifact of another attempt: " + artifact.path);
  }
  // What it shares was made by an attempt that came to its end.
  void look_at_cached(const std::string& shown, const scheduler::Job& job) {
    for (const auto& [name, artifact] : job.artifacts)
      if (!made_.contains(artifact.path))
        trace_.violated("right ends: " + shown + " was given " + artifact.path + ", which nobody has made");
  }
  // Of every artifact of the attempt: simulation/machine.cpp.
  static std::string path_of(Fence fence) { return "/store/" + std::to_string(fence.value); }
  static std::string job_name(const JobKey& key) {
    return "job " + key.job.value + " of graph " + std::to_string(key.graph.value);
  }

  Trace& trace_;
  std::map<JobKey, scheduler::JobState> ends_;
  std::set<std::pair<Fence, RankId>> done_;
  std::set<std::string> made_;  // by ranks that exited 0
};

}  // namespace paddock::simulation
