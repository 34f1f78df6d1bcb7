// simulation/checks/right_ends.h – terminal states never change, and a job succeeds only by an attempt of which every rank
// really came to its end: no stale attempt is committed, no half gang counts, nothing that it made is missing; nor has one
// failed of which every rank did well, or for what its nodes did. A graph that takes up another again takes what had
// succeeded there as it is, and runs the rest. Looked at after every turn of the coordinator. Threads: one owner.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/limits.h"
#include "scheduler/cluster.h"
#include "simulation/trace.h"

namespace paddock::simulation {

class RightEnds {
 public:
  explicit RightEnds(Trace& trace) : trace_(trace) {}

  // The truth: this rank exited 0.
  void rank_done(Fence fence, RankId rank) { done_.insert({fence, rank}); }
  // The truth: a rank of it failed by itself.
  void rank_failed(Fence fence, std::int32_t exit_code) {
    failed_.insert(fence);
    if (exit_code == kExitOptionsWrong) hopeless_.insert(fence);
  }

  // `left`: graphs that ended and left memory since the last look.
  void look(const scheduler::Cluster& cluster, const scheduler::Cluster& left) {
    // First who has made something, then who was given it.
    for (const bool is_cached : {false, true}) {
      look_at(left, is_cached);
      look_at(cluster, is_cached);
    }
    for (const auto& [id, graph] : cluster.graphs)
      if (graph.retry_of != GraphId() && retries_.insert(id).second) look_at_retry(graph);
  }

 private:
  static constexpr std::int32_t kExitOptionsWrong = 2;  // docs/rank-protocol.md: is not tried again

  void look_at(const scheduler::Cluster& cluster, bool is_cached) {
    for (const auto& [id, graph] : cluster.graphs) {
      for (const auto& [name, job] : graph.jobs)
        if (job.is_cached == is_cached) look_at({id, name}, job);
    }
  }
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
    look_at_attempts(shown, job);
    if (job.state == scheduler::JobState::kSucceeded) outputs_[key] = job.artifacts;
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
    if (job.attempts.empty()) return;
    const scheduler::Attempt& last = job.attempts.back();
    const bool may_end_it = last.outcome == scheduler::Outcome::kTimedOut ||
                            (last.outcome == scheduler::Outcome::kFailed &&
                             (hopeless_.contains(last.fence) || job.failures > job.request.retry->limit));
    if (!may_end_it && job.attempts.size() <= static_cast<std::size_t>(limits::kRetriesMax))
      trace_.violated("right ends: " + shown + " failed by attempt " + std::to_string(last.fence.value) +
                      " (" + std::string(name_of(last.outcome)) + ") after " + std::to_string(job.failures) +
                      " failures of " + std::to_string(job.request.retry->limit + 1));
  }
  // What counts against its retries is what it did itself.
  void look_at_attempts(const std::string& shown, const scheduler::Job& job) {
    std::int32_t failures = 0;
    for (const scheduler::Attempt& attempt : job.attempts) {
      const bool has_failed = attempt.outcome == scheduler::Outcome::kFailed;
      failures += has_failed || attempt.outcome == scheduler::Outcome::kTimedOut ? 1 : 0;
      if (has_failed && !failed_.contains(attempt.fence))
        trace_.violated("right ends: attempt " + std::to_string(attempt.fence.value) + " of " + shown +
                        " counts as failed, though none of its ranks failed by itself: " + attempt.reason);
    }
    if (failures != job.failures)
      trace_.violated("right ends: " + shown + " has failed " + std::to_string(failures) +
                      " times and counts " + std::to_string(job.failures));
  }
  void look_at_retry(const scheduler::Graph& graph) {
    trace_.probe("graph taken up again");
    for (const auto& [name, job] : graph.jobs) {
      const auto before = ends_.find({graph.retry_of, name});
      const std::string shown = job_name({graph.id, name});
      if (before == ends_.end()) {
        trace_.violated("right ends: " + shown + " takes up one that had not ended");
        continue;
      }
      const bool was_done = before->second == scheduler::JobState::kSucceeded;
      if (was_done && (job.state != scheduler::JobState::kSucceeded || !job.attempts.empty() ||
                       job.artifacts != outputs_[before->first]))
        trace_.violated("right ends: " + shown + " does again what graph " +
                        std::to_string(graph.retry_of.value) + " has done");
      if (was_done) trace_.probe("what was done is not done again");
    }
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
  std::map<JobKey, scheduler::Artifacts> outputs_;  // of those that succeeded
  std::set<std::pair<Fence, RankId>> done_;
  std::set<Fence> failed_;    // a rank of theirs failed by itself
  std::set<Fence> hopeless_;  // with wrong options
  std::set<GraphId> retries_;
  std::set<std::string> made_;  // by attempts that succeeded
};

}  // namespace paddock::simulation
