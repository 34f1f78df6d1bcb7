// simulation/checks/right_ends.h – terminal states never change, and a job succeeds only by an attempt of which every rank
// really came to its end: no stale attempt is committed, no half gang counts, nothing that it made is missing; nor has one
// failed of which every rank did well. Looked at after every turn of the coordinator. Threads: one owner.
#pragma once

#include <map>
#include <optional>
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
  void rank_done(Fence fence, RankId rank) { done_.insert({fence, rank}); }

  void look(const scheduler::Cluster& cluster) {
    // First who has made something, then who was given it.
    for (const bool is_cached : {false, true}) {
      for (const auto& [id, graph] : cluster.graphs) {
        for (const auto& [name, job] : graph.jobs)
          if (job.is_cached == is_cached) look_at({id, name}, job);
      }
    }
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
    if (job.state == scheduler::JobState::kFailed) return look_at_failed(shown, job);
    if (job.state != scheduler::JobState::kSucceeded) return;
    if (job.is_cached) return look_at_cached(shown, job);
    const scheduler::Attempt& attempt = job.attempts.back();
    if (const auto open = first_open(attempt))
      return trace_.violated("right ends: " + shown + " succeeded by attempt " +
                             std::to_string(attempt.fence.value) + ", whose rank " + std::to_string(*open) +
                             " has not");
    const std::string made_by = path_of(attempt.fence);
    made_.insert(made_by);
    if (job.artifacts.empty())
      trace_.violated("right ends: " + shown + " has lost the artifact that its rank 0 has told of");
    for (const auto& [name, artifact] : job.artifacts)
      if (artifact.path != made_by)
        trace_.violated("right ends: " + shown + " has an artifact of another attempt: " + artifact.path);
  }
  void look_at_failed(const std::string& shown, const scheduler::Job& job) {
    if (job.attempts.empty() || job.attempts.back().outcome != scheduler::Outcome::kFailed) return;
    if (!first_open(job.attempts.back()))
      trace_.violated("right ends: " + shown + " failed by attempt " +
                      std::to_string(job.attempts.back().fence.value) + ", all ranks of which exited 0");
  }
  // A rank that has not exited 0.
  std::optional<std::uint32_t> first_open(const scheduler::Attempt& attempt) const {
    for (std::uint32_t rank = 0; rank < attempt.ranks.size(); ++rank)
      if (!done_.contains({attempt.fence, RankId{rank}})) return rank;
    return std::nullopt;
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
  std::set<std::string> made_;  // by attempts that succeeded
};

}  // namespace paddock::simulation
