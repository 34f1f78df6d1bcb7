#include <algorithm>
#include <limits>
#include <map>
#include <optional>
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
constexpr std::int64_t kFirstPort = 20'000;

class Paddock {
 public:
  Paddock(const Workload& workload, const Machines& machines) : workload_(workload), machines_(machines) {
    schedule_.starts_s.resize(workload.jobs.size(), -1);
  }

  Schedule run() {
    for (std::int64_t node = 0; node < machines_.nodes; ++node) join(node);
    decide();
    std::size_t next = 0;
    while (next < workload_.jobs.size() || !ends_.empty() || cluster_.rest) {
      now_s_ = std::numeric_limits<std::int64_t>::max();
      if (next < workload_.jobs.size()) now_s_ = workload_.jobs[next].submit_s;
      if (!ends_.empty()) now_s_ = std::min(now_s_, ends_.top().at_s);
      if (cluster_.rest) now_s_ = std::min(now_s_, cluster_.rest->due_at.ms / 1'000 - 1);
      if (cluster_.rest && cluster_.rest->due_at <= instant()) happen(RestDue{});
      for (; !ends_.empty() && ends_.top().at_s == now_s_; ends_.pop()) end(ends_.top().fence);
      for (; next < workload_.jobs.size() && workload_.jobs[next].submit_s == now_s_; ++next)
        submit(workload_.jobs[next]);
      decide();
    }
    PADDOCK_CHECK(std::ranges::find(schedule_.starts_s, -1) == schedule_.starts_s.end(),
                  cluster_.queue.size());
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

  Instant instant() const { return Instant{(now_s_ + 1) * 1'000}; }
  // All that happens at one instant is one turn: what is to be placed is decided at its end, as a coordinator does.
  void happen(What what) {
    if (newest_) take(*std::move(newest_), true);
    newest_ = std::move(what);
  }
  void decide() {
    if (newest_) take(*std::move(newest_), false);
    newest_.reset();
  }
  void take(What what, bool is_followed) {
    effects_.clear();
    const Moment moment{instant(), WallTime{now_s_ * 1'000}};
    apply(cluster_, Event{moment, std::move(what), is_followed}, effects_);
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
    for (std::int64_t port = 0; port < machines_.cores; ++port)
      offer.ports.push_back(static_cast<std::uint16_t>(kFirstPort + port));
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
    happen(JobPrepared{{graph, JobName{"j"}}, {}, false, {}});
    PADDOCK_CHECK(cluster_.next_graph == graph.value + 1, graph);
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
  std::optional<What> newest_;  // not yet taken: it may be followed by others
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
