// tests/coordinator/story.h – a short history of a cluster with something of everything in it, as events.
#pragma once

#include <vector>

#include "scheduler/apply.h"
#include "scheduler/event.h"

namespace paddock::coordinator {

// Two nodes, three graphs: one succeeds, one is retried and cancelled, one waits; a node is lost; a schedule with a run that
// goes and one that waits; a reservation.
inline std::vector<scheduler::Event> story() {
  using namespace scheduler;
  std::vector<What> events;
  const auto request = [](const char* name, std::vector<JobName> needs) {
    JobRequest job{JobName{name},
                   "command",
                   std::move(needs),
                   Request{},
                   RetryRule{2, Millis(10), 2'000},
                   Millis(100),
                   R"({"name":")" + std::string(name) + "\"}"};
    return job;
  };
  const auto prepared = [](std::uint64_t graph, const char* job, const char* stage) {
    return JobPrepared{JobKey{GraphId{graph}, JobName{job}},
                       Launch{{"true"}, "{}", "/store/" + std::string(job), {{"A", "b"}}, stage},
                       false,
                       {}};
  };
  const Offer offer{2, 1u << 30, {Gpu{"GPU-1", "H100", 80ull << 30}}, {29'500, 29'501}};
  events.emplace_back(NodeJoined{NodeId{"a"}, 1, "10.0.0.1", offer, Instant{15'000}});
  events.emplace_back(GpuFaulted{NodeId{"a"}, 1, "GPU-none", "a GPU that the node does not have"});
  events.emplace_back(NodeJoined{NodeId{"b"}, 2, "10.0.0.2", offer, Instant{15'000}});
  events.emplace_back(
      GraphSubmitted{"first", 5, "token-1", {request("data", {}), request("train", {JobName{"data"}})}});
  events.emplace_back(prepared(1, "data", "key-of-data"));
  events.emplace_back(RankStarted{Fence{1}, RankId{0}, 100});
  events.emplace_back(ArtifactRecorded{Fence{1}, "dataset", Artifact{"/store/d", "hash"}});
  events.emplace_back(RankEnded{Fence{1}, RankId{0}, 0, 0, "exited 0", false, false});
  events.emplace_back(prepared(1, "train", ""));
  events.emplace_back(
      GraphSubmitted{"second", 0, "token-2", {request("fails", {}), request("skipped", {JobName{"fails"}})}});
  events.emplace_back(prepared(2, "fails", "key-of-fails"));
  events.emplace_back(RankStarted{Fence{2}, RankId{0}, 101});
  events.emplace_back(CheckpointRecorded{Fence{2}, 7, "/store/c", "hash", 9});
  events.emplace_back(FailureReported{Fence{3}, RankId{0}, "the loss is NaN"});
  events.emplace_back(RankEnded{Fence{3}, RankId{0}, 1, 0, "exited 1", false, false});
  events.emplace_back(RankEnded{Fence{2}, RankId{0}, 0, 0, "exited 0", false, false});
  events.emplace_back(BackoffEnded{JobKey{GraphId{2}, JobName{"fails"}}});
  events.emplace_back(NodeLost{NodeId{"b"}, 2});
  events.emplace_back(GraphCancelled{GraphId{2}, "cancelled"});
  events.emplace_back(RankEnded{Fence{4}, RankId{0}, -1, 15, "killed by signal 15", false, false});
  events.emplace_back(GraphsArchived{{GraphId{1}}});
  events.emplace_back(GraphSubmitted{"third", 0, "token-3", {request("waits", {})}});
  const auto wall = [](std::int64_t ms) { return WallTime{1'700'000'000'000 + ms}; };
  events.emplace_back(ScheduleSet{{"nightly", 0, "token-4", {request("runs", {})}},
                                  {"0 2 * * *", "UTC", Missed::kAll, Overlap::kQueue, Millis(60'000)}});
  events.emplace_back(
      ScheduleDue{"nightly", wall(60'000), {wall(59'000), wall(59'500)}, 1, wall(58'000), "late"});
  events.emplace_back(ReservationSet{"talk", {"vision"}, 1, {}, wall(90'000), wall(95'000)});
  events.emplace_back(CoordinatorStarted{Instant{30'000}});
  std::vector<Event> history;
  for (What& what : events) {
    const auto ms = static_cast<std::int64_t>(100 * (history.size() + 1));
    history.push_back(Event{Moment{Instant{ms}, WallTime{1'700'000'000'000 + ms}}, std::move(what)});
  }
  return history;
}

}  // namespace paddock::coordinator
