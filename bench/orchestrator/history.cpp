// Writes the state folder that a coordinator leaves after so many finished jobs, by its own scheduler, journal,
// snapshots and archive, without processes: to measure how long a start takes then. See bench/orchestrator/restart.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/archive.h"
#include "coordinator/journal.h"
#include "coordinator/options.h"
#include "scheduler/apply.h"
#include "storage/database.h"

namespace paddock::coordinator {
namespace {

using namespace scheduler;

constexpr int kJobsPerGraph = 1'000;
constexpr std::size_t kEventsPerTurn = 1'000;

class History {
 public:
  explicit History(const std::string& state)
      : database_(opened(storage::Database::open(std::filesystem::path(state) / "db"))),
        journal_(opened(Journal::open(database_))) {
    Offer offer{16, 1ull << 40, {}, {}};
    for (std::uint16_t port = 0; port < 16; ++port)
      offer.ports.push_back(static_cast<std::uint16_t>(20'000 + port));
    happen(NodeJoined{NodeId{"a"}, 1, "127.0.0.1", offer, Instant{1'000'000'000}});
  }

  void run_graph(int number) {
    GraphSubmitted submitted{"history", 0, "token-" + std::to_string(number), {}};
    for (int i = 0; i < kJobsPerGraph; ++i) {
      JobRequest job;
      job.name = JobName{"job-" + std::to_string(i)};
      job.kind = "command";
      job.spec = R"({"command":["true"],"kind":"command","name":")" + job.name.value + "\"}";
      submitted.jobs.push_back(std::move(job));
    }
    happen(std::move(submitted));
    for (std::size_t next = 0; next < effects_.size(); ++next) {  // grows meanwhile
      if (const auto* ready = std::get_if<PrepareJob>(&effects_[next])) {
        Launch launch{{"true"}, "{}", "/store/graphs/1/" + ready->job.job.value, {}, ""};
        happen(JobPrepared{ready->job, std::move(launch), false, {}});
      } else if (const auto* start = std::get_if<StartRanks>(&effects_[next])) {
        const Fence fence = start->fence;
        happen(RankStarted{fence, RankId{0}, 4'711});
        happen(RankEnded{fence, RankId{0}, 0, 0, "exited 0", false, false});
      }
    }
    effects_.clear();
    write_turn();
    keep_bounds();
  }

  // As a coordinator that is killed leaves it.
  std::uint64_t events() const { return journal_.next_sequence() - 1; }

 private:
  template <typename T>
  static T opened(Result<T> result) {
    if (!result) give_up(result.error());
    return *std::move(result);
  }
  [[noreturn]] static void give_up(const Error& error) {
    std::fprintf(stderr, "orchestrator_history: %s\n", error.message.c_str());
    std::exit(1);
  }
  static void must(const Result<void>& result) {
    if (!result) give_up(result.error());
  }

  void happen(What what) {
    ++now_ms_;
    const Event event{Moment{Instant{now_ms_}, WallTime{1'700'000'000'000 + now_ms_}}, std::move(what)};
    apply(cluster_, event, effects_);
    turn_.push_back(event);
    if (turn_.size() >= kEventsPerTurn) write_turn();
  }
  void write_turn() {
    must(journal_.append(turn_));
    turn_.clear();
  }
  void keep_bounds() {
    const auto graphs = graphs_to_archive(cluster_, WallTime{1'700'000'000'000 + now_ms_},
                                          options_.keep_ended, options_.ended_jobs_max);
    if (!graphs.empty()) {
      const Event event{Moment{Instant{now_ms_}, WallTime{}}, GraphsArchived{graphs}};
      must(journal_.append({event}, Archive::rows_of(cluster_, graphs)));
      apply(cluster_, event, effects_);
      effects_.clear();
    }
    if (journal_.events_since_snapshot() >= options_.snapshot_events) must(journal_.take_snapshot(cluster_));
  }

  const CoordinatorOptions options_;
  storage::Database database_;
  Journal journal_;
  Cluster cluster_;
  Effects effects_;
  std::vector<Event> turn_;
  std::int64_t now_ms_ = 0;
};

}  // namespace
}  // namespace paddock::coordinator

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("orchestrator_history STATE JOBS\n", stderr);
    return 2;
  }
  paddock::coordinator::History history(argv[1]);
  const int graphs = std::atoi(argv[2]) / paddock::coordinator::kJobsPerGraph;
  for (int i = 0; i < graphs; ++i) history.run_graph(i);
  std::printf("{\"jobs\":%d,\"events\":%llu}\n", graphs * paddock::coordinator::kJobsPerGraph,
              static_cast<unsigned long long>(history.events()));
  return 0;
}
