#include <algorithm>
#include <map>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/limits.h"
#include "scheduler/apply.h"
#include "simulation/workload/policies.h"

namespace paddock::simulation {
namespace {

using namespace scheduler;

constexpr std::size_t kArchivedAtOnce = 1'000;
constexpr std::int64_t kPortsMax = 256;

class Paddock {
 public:
  Paddock(const Workload& workload, const Machines& machines) : workload_(workload), machines_(machines) {
    schedule_.starts_s.resize(workload.jobs.size(), -1);
  }

  Schedule run() {
    for (std::int64_t node = 0; node < machines_.nodes; ++node) join(node);
    std::size_t next = 0;
    while (next < workload_.jobs.size() || !ends_.empty()) {
      const bool comes_next =
          next < workload_.jobs.size() && (ends_.empty() || workload_.jobs[next].submit_s < ends_.top().at_s);
      if (comes_next) {
        now_s_ = workload_.jobs[next].submit_s;
        submit(workload_.jobs[next++]);
      } else {
        now_s_ = ends_.top().at_s;
        end(ends_.top().fence);
        ends_.pop();
      }
    }
    return std::move(schedule_);
  }

 private:
  struct End {
    std::int64_t at_s = 0;
    Fence fence;
    auto operator<=>(const End&) const = default;
  };

  // Graphs are numbered in the order in which they come, so a graph's number is its job's position.
  std::size_t position_of(const JobKey& key) const { return static_cast<std::size_t>(key.graph.value - 1); }

  void happen(What what) {
    effects_.clear();
    apply(cluster_, Event{Moment{Instant{(now_s_ + 1) * 1'000}, WallTime{now_s_ * 1'000}}, std::move(what)},
          effects_);
    Fence last;
    for (const Effect& effect : effects_) {
      const auto* start = std::get_if<StartRanks>(&effect);
      if (start == nullptr || start->fence == last) continue;
      last = start->fence;
      const std::size_t job = position_of(cluster_.attempts.at(last).job);
      schedule_.starts_s[job] = now_s_;
      ends_.push({now_s_ + workload_.jobs[job].run_s, last});
    }
  }

  void join(std::int64_t number) {
    Offer offer{static_cast<std::uint32_t>(machines_.cores), 0, {}, {}, {}};
    for (std::int64_t port = 0; port < std::min(machines_.cores, kPortsMax); ++port)
      offer.ports.push_back(static_cast<std::uint16_t>(29'500 + port));
    happen(NodeJoined{NodeId{"n" + std::to_string(number)}, 1, "", offer, kNever});
  }

  void submit(const TraceJob& job) {
    const Gang gang = gang_of(job, machines_);
    JobRequest request;
    request.name = JobName{"j"};
    request.kind = "command";
    request.resources.edit().nodes = static_cast<std::uint32_t>(gang.nodes);
    request.resources.edit().cpus_per_rank = static_cast<std::uint32_t>(gang.cores);
    request.time_limit = std::min<Millis>(std::chrono::seconds(job.estimate_s), limits::kTimeLimitMax);
    const GraphId graph{cluster_.next_graph};
    happen(GraphSubmitted{"trace",
                          0,
                          std::to_string(graph.value),
                          {std::move(request)},
                          job.user < 0 ? kTenantDefault : "user" + std::to_string(job.user)});
    PADDOCK_CHECK(cluster_.next_graph == graph.value + 1, graph);
    happen(JobPrepared{{graph, JobName{"j"}}, {}, false, {}});
  }

  void end(Fence fence) {
    const JobKey key = cluster_.attempts.at(fence).job;
    const auto ranks = static_cast<std::uint32_t>(find_job(cluster_, key)->attempts.back().ranks.size());
    for (std::uint32_t rank = 0; rank < ranks; ++rank)
      happen(RankEnded{fence, RankId{rank}, 0, 0, "exited 0", false, false});
    ended_.push_back(key.graph);
    if (ended_.size() < kArchivedAtOnce) return;
    happen(GraphsArchived{std::move(ended_)});
    ended_.clear();
  }

  const Workload& workload_;
  const Machines machines_;
  Cluster cluster_;
  Effects effects_;
  Schedule schedule_;
  std::int64_t now_s_ = 0;
  std::priority_queue<End, std::vector<End>, std::greater<>> ends_;
  std::vector<GraphId> ended_;
};

}  // namespace

Schedule schedule_paddock(const Workload& workload, const Machines& machines) {
  return Paddock(workload, machines).run();
}

}  // namespace paddock::simulation
