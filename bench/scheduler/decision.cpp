// How long one decision takes on a large, full cluster: scheduler_decision [NODES [JOBS [DECISIONS [UNFIT]]]].
// 10,000 nodes of 64 cores and 8 GPUs in 250 racks, 100,000 queued jobs of 20 tenants, 3 priorities and 40 shapes
// (from one core to gangs of 32 nodes, two thirds with a time limit). Every node is full. Then, again and again, an
// attempt ends, rank by rank, and the scheduler decides who is next. An event is one apply(), everything included, in processor time. Printed are
// quantiles over all events that started a job when it came, all that left it queued, all ends of a rank, and, of the
// attempts that ended, over all their ranks together. UNFIT: before that one tenant submits so many jobs of 20 higher priorities,
// no two alike, of which none fits while anything runs on a node.
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "scheduler/apply.h"
#include "scheduler/invariants.h"

namespace paddock::scheduler {
namespace {

using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// Of this thread alone: what else the machine does meanwhile is not the scheduler's.
double cpu_ms() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

void print(const char* what, std::vector<double> times) {
  if (times.empty()) return;
  std::ranges::sort(times);
  const auto at = [&](double part) {
    return times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))];
  };
  std::printf("%-28s %8zu  p50 %8.3f ms  p99 %8.3f ms  max %8.3f ms\n", what, times.size(), at(0.5), at(0.99),
              at(1));
}

class Load {
 public:
  explicit Load(std::uint64_t seed) : draws_(seed, 0, Purpose::kOrder) {}

  double happen(What what) {
    effects_.clear();
    const Event event{Moment{Instant{now_}, WallTime{now_}}, std::move(what)};
    const double start = cpu_ms();
    apply(cluster_, event, effects_);
    return cpu_ms() - start;
  }

  void join(int nodes) {
    for (int i = 0; i < nodes; ++i) {
      Offer offer{64, 512ull << 30, {}, {29'500, 29'501, 29'502, 29'503, 29'504, 29'505, 29'506, 29'507}, {}};
      for (int gpu = 0; gpu < 8; ++gpu)
        offer.gpus.push_back({"GPU-" + std::to_string(i) + "-" + std::to_string(gpu), "H100", 80ull << 30});
      offer.labels["rack"] = "r" + std::to_string(i / 40);
      happen(
          NodeJoined{NodeId{"node" + std::to_string(i)}, 1, "10.0.0.1", offer, Instant{1'000'000'000'000}});
    }
  }

  // Graphs of 1,000 jobs each, prepared at once.
  void submit(int jobs) {
    for (int done = 0; done < jobs; done += 1'000) {
      GraphSubmitted submitted{"load",
                               static_cast<std::int64_t>(draws_.below(3)) * 10,
                               "t" + std::to_string(++tokens_),
                               {},
                               "tenant" + std::to_string(draws_.below(20))};
      for (int i = 0; i < std::min(1'000, jobs - done); ++i) submitted.jobs.push_back(draw_job(i));
      const std::size_t count = submitted.jobs.size();
      const GraphId graph{cluster_.next_graph};
      happen(std::move(submitted));
      for (std::size_t i = 0; i < count; ++i) {
        const Fence before{cluster_.next_fence};
        const double took =
            happen(JobPrepared{JobKey{graph, JobName{"j" + std::to_string(i)}}, {}, false, {}});
        (before.value == cluster_.next_fence ? queued_ : started_).push_back(took);
      }
    }
  }

  void submit_unfit(int jobs) {
    for (std::int64_t priority = 21; priority <= 40; ++priority) {
      GraphSubmitted submitted{"unfit", priority, "t" + std::to_string(++tokens_), {}, "rival"};
      for (int i = 0; i < jobs / 20; ++i) {
        JobRequest job;
        job.name = JobName{"j" + std::to_string(i)};
        job.kind = "command";
        job.resources.edit().cpus_per_rank = 64;
        job.resources.edit().memory_bytes_per_rank =
            (1ull << 30) + 10'000 * static_cast<std::uint64_t>(priority) + static_cast<std::uint64_t>(i);
        submitted.jobs.push_back(job);
      }
      const std::size_t count = submitted.jobs.size();
      const GraphId graph{cluster_.next_graph};
      happen(std::move(submitted));
      for (std::size_t i = 0; i < count; ++i)
        unfit_.push_back(happen(JobPrepared{JobKey{graph, JobName{"j" + std::to_string(i)}}, {}, false, {}}));
    }
  }

  // One running attempt, drawn by its fence, ends well.
  void end_one() {
    now_ += 50;
    for (;;) {
      const Fence fence{1 + draws_.below(cluster_.next_fence - 1)};
      const FoundConst found = find_attempt(static_cast<const Cluster&>(cluster_), fence);
      if (found.attempt == nullptr || !found.attempt->is_live()) continue;
      const std::size_t ranks = found.attempt->ranks.size();
      double all = 0;
      for (std::size_t rank = 0; rank < ranks; ++rank) {
        ends_.push_back(happen(
            RankEnded{fence, RankId{static_cast<std::uint32_t>(rank)}, 0, 0, "exited 0", false, false}));
        all += ends_.back();
      }
      return ended_.push_back(all);
    }
  }

  const Cluster& cluster() const { return cluster_; }
  void print_times() const {
    print("a job came and started", started_);
    print("a job came and was queued", queued_);
    print("one came that does not fit", unfit_);
    print("a rank ended", ends_);
    print("an attempt ended, all ranks", ended_);
  }

 private:
  JobRequest draw_job(int index) {
    JobRequest job;
    job.name = JobName{"j" + std::to_string(index)};
    job.kind = "command";
    job.grace = Millis(30'000);
    const std::uint64_t shape = draws_.below(40);
    Request& asked = job.resources.edit();
    asked.cpus_per_rank = static_cast<std::uint32_t>(1 + shape % 8);
    if (shape >= 10) {
      asked.gpus_per_rank = 1;
      asked.ranks_per_node = static_cast<std::uint32_t>(1u << (shape % 4));
    }
    if (shape >= 30) {
      asked.ranks_per_node = 8;
      asked.nodes = static_cast<std::uint32_t>(2u << (shape % 5));
    }
    if (shape % 3 != 0) job.time_limit = Millis(600'000 * static_cast<std::int64_t>(1 + shape % 12));
    job.is_preemptible = shape % 2 == 0;
    return job;
  }

  Cluster cluster_;
  Effects effects_;
  Draws draws_;
  std::int64_t now_ = 1'000;
  int tokens_ = 0;
  std::vector<double> started_;
  std::vector<double> queued_;
  std::vector<double> unfit_;
  std::vector<double> ends_;
  std::vector<double> ended_;
};

int run(int nodes, int jobs, int decisions, int unfit) {
  Load load(7);
  auto start = Clock::now();
  load.join(nodes);
  std::printf("%d nodes joined in %.0f ms\n", nodes, ms_since(start));
  // As many again as can run, so that the queue holds `jobs` when all is full.
  int submitted = 0;
  start = Clock::now();
  while (load.cluster().queue.size() < static_cast<std::size_t>(jobs)) {
    load.submit(5'000);
    submitted += 5'000;
  }
  std::printf("%d jobs submitted and placed in %.0f ms: %zu run, %zu are queued\n", submitted,
              ms_since(start), load.cluster().next_fence - 1, load.cluster().queue.size());
  load.submit_unfit(unfit);
  for (int i = 0; i < decisions; ++i) load.end_one();
  load.print_times();
  const auto broken = check_invariants(load.cluster());
  for (const std::string& each : broken) std::printf("broken: %s\n", each.c_str());
  return broken.empty() ? 0 : 1;
}

}  // namespace
}  // namespace paddock::scheduler

int main(int argc, char** argv) {
  const auto number = [&](int at, int otherwise) { return argc > at ? std::atoi(argv[at]) : otherwise; };
  return paddock::scheduler::run(number(1, 10'000), number(2, 100'000), number(3, 2'000), number(4, 0));
}
