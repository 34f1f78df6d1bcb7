// simulation/checks/each_time_once.h – each time of a schedule is one run, or is told of as not run, and is never both or
// twice, whatever dies. Looked at after every turn. Threads: one owner.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "scheduler/cluster.h"
#include "simulation/trace.h"

namespace paddock::simulation {

class EachTimeOnce {
 public:
  explicit EachTimeOnce(Trace& trace) : trace_(trace) {}

  void look(const scheduler::Cluster& cluster) {
    for (const auto& [id, graph] : cluster.graphs) {
      if (graph.schedule.empty()) continue;
      const auto [known, is_new] = runs_.try_emplace(graph.scheduled_for, id);
      if (!is_new && known->second != id)
        trace_.violated("each time once: the run of " + scheduler::show_utc(graph.scheduled_for) +
                        " is graph " + std::to_string(known->second.value) + " and graph " +
                        std::to_string(id.value));
      if (is_new && graph.submitted.unix_ms - graph.scheduled_for.unix_ms > scheduler::kMissedAfter.count())
        trace_.probe("missed run made up for");
    }
    for (const auto& [name, schedule] : cluster.schedules) look_at(schedule);
  }

 private:
  // Its times are the full minutes.
  void look_at(const scheduler::Schedule& schedule) {
    const std::int64_t settled = schedule.settled_until.unix_ms / 60'000;
    const auto told =
        static_cast<std::int64_t>(schedule.runs + schedule.passed_over + schedule.waiting.size());
    if (!since_) since_ = settled - told;
    if (told != settled - *since_)
      trace_.violated("each time once: " + std::to_string(settled - *since_) + " times of schedule " +
                      schedule.name + " have come, " + std::to_string(told) + " are accounted for");
    if (schedule.passed_over > 0) trace_.probe("scheduled time passed over");
    if (!schedule.waiting.empty()) trace_.probe("scheduled run waits for the one before");
  }

  Trace& trace_;
  std::map<WallTime, GraphId> runs_;
  std::optional<std::int64_t> since_;  // the minute in which it was accepted
};

}  // namespace paddock::simulation
