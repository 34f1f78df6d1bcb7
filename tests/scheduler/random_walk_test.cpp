// Random events, many of them stale, doubled or out of order, on a small cluster; then the faults stop and
// all must end. Scenario checks the invariants after every event and replays the journal at the end.
#include "base/random.h"
#include "tests/scheduler/scenario.h"

namespace paddock::scheduler {
namespace {

class Walk {
 public:
  explicit Walk(std::uint64_t seed) : draws_(seed, 0, Purpose::kOrder) {}

  void run() {
    for (int i = 0; i < 150; ++i) step();
    settle();
    for (const auto& [id, graph] : story_.cluster.graphs) {
      EXPECT_NE(name_of(graph.state), name_of(GraphState::kActive)) << "graph " << id << " never ends";
    }
  }

 private:
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(draws_.below(n)); }
  bool chance(std::uint32_t percent) { return below(100) < percent; }
  const char* any_node() { return std::array{"a", "b", "c"}[below(3)]; }

  void submit() {
    std::vector<JobBuilder> jobs;
    const std::array names{"p", "q", "r", "s"};
    const std::uint32_t count = 1 + below(4);
    for (std::uint32_t i = 0; i < count; ++i) {
      JobBuilder next = job(names[i])
                            .gang(1 + below(2), 1 + below(2))
                            .gpus(chance(20) ? 1 : 0)
                            .retry(static_cast<std::int32_t>(below(3)), Millis(below(3'000)));
      for (std::uint32_t j = 0; j < i; ++j) {
        if (!chance(40)) continue;
        next.request.needs.emplace_back(names[j]);
        if (chance(30)) next.request.on[JobName{names[j]}] = chance(50) ? On::kFailure : On::kAlways;
      }
      if (chance(30)) next.request.is_preemptible = true;
      if (chance(20)) next.request.resources.edit().nodes_min = 1;
      if (chance(10)) next.request.resources.edit().apart = "apart";
      if (chance(10)) next.request.resources.edit().avoid["old"] = "";
      if (chance(20)) next.request.retry.edit().not_on = {"exit"};
      if (chance(20)) next.request.time_limit = Millis(1'000 + below(30'000));
      if (chance(30)) next.stage = std::string("stage-") + names[i];
      jobs.push_back(std::move(next));
    }
    story_.submit(jobs, below(3), chance(10) ? "resent" : "", std::array{"ada", "bob"}[below(2)]);
  }

  // About any attempt that ever was, so mostly stale; with a rank that may not exist.
  What report() {
    const Fence fence{1 + draws_.below(story_.cluster.next_fence)};
    const RankId rank{below(5)};
    switch (below(6)) {
      case 0:
        return RankStarted{fence, rank, 1'000 + below(1'000)};
      case 1:
        return ArtifactRecorded{fence, "out", Artifact{"/store/" + std::to_string(fence.value), "h"}};
      case 2:
        return CheckpointRecorded{fence, below(100), "/store/c", "h", 1};
      case 3:
        return FailureReported{fence, rank, "no"};
      default: {
        const std::int32_t code = std::array{0, 0, 0, 1, 2, 75, -1}[below(7)];
        return RankEnded{fence, rank, code, code < 0 ? 9 : 0, "ended", false, chance(10)};
      }
    }
  }

  void step() {
    switch (below(17)) {
      case 0:
        return submit();
      case 1:
        return join();
      case 2:
        return story_.fall_silent(any_node());
      case 3:
        return story_.pass(Millis(below(20'000)));
      case 4:
        if (chance(20)) story_.cancel(GraphId{1 + draws_.below(story_.cluster.next_graph)});
        return;
      case 5:
        if (chance(30)) story_.happen(NodeLeft{NodeId{any_node()}, 1 + below(3)});
        return;
      case 6:
        if (chance(30)) story_.happen(CoordinatorStarted{story_.now + Scenario::kLease});
        return;
      case 7:
        return say_what_is_held();
      case 8:
        return operate();
      case 9:
        return gpu_fails();
      case 10:
        return schedule();
      case 11:
        return reserve();
      default:
        break;
    }
    const What what = report();
    story_.happen(what);
    if (chance(30)) story_.happen(what);
  }

  void join() { story_.join(any_node(), 1 + below(4), below(3), 1 + below(3)); }

  void gpu_fails() {
    const std::string node = any_node();
    story_.happen(GpuFaulted{NodeId{node}, 1 + below(3), "GPU-" + node + std::to_string(below(3)), "Xid 79"});
  }

  void operate() {
    switch (below(4)) {
      case 0:
        return story_.happen(NodeDrained{NodeId{any_node()}, "x", chance(50) ? Instant{} : story_.now + 5s});
      case 1:
        return story_.happen(NodeResumed{NodeId{any_node()}});
      case 2:
        return story_.happen(CordonEnded{NodeId{any_node()}});
      default:
        return story_.happen(
            TenantSet{std::array{"ada", "bob"}[below(2)], 500 + below(2'000), Usage{below(3), 0, 0}});
    }
  }

  void schedule() {
    const char* const name = std::array{"s", "t"}[below(2)];
    const WallTime wall{1'000'000 + story_.now.ms};
    switch (below(4)) {
      case 0: {
        GraphSubmitted graph{name, below(3), "set" + std::to_string(draws_.u64()), {job("p").request}, "ada"};
        const ScheduleRule rule{"* * * * *", "UTC", Missed::kAll,
                                std::array{Overlap::kSkip, Overlap::kQueue, Overlap::kReplace}[below(3)],
                                Millis(chance(30) ? 10'000 : 0)};
        return story_.happen(ScheduleSet{graph, rule});
      }
      case 1:
        return story_.happen(
            ScheduleSteered{name, std::array{Steer::kPause, Steer::kResume, Steer::kRemove}[below(3)]});
      case 2:
        return story_.happen(ScheduleRunAsked{name, "asked" + std::to_string(below(5))});
      default:
        return story_.happen(
            ScheduleDue{name, wall, {WallTime{wall.unix_ms - 1}, wall}, below(2), wall, "late"});
    }
  }

  void reserve() {
    const WallTime wall{1'000'000 + story_.now.ms};
    const auto later = [&](std::uint32_t most) { return WallTime{wall.unix_ms + below(most)}; };
    const char* const name = std::array{"x", "y"}[below(2)];
    if (chance(20)) return story_.happen(ReservationRemoved{name});
    if (chance(40))
      return story_.happen(ReservationSet{
          name, {std::array{"ada", "bob"}[below(2)]}, below(3), {}, later(30'000), later(90'000)});
    turn_reservations();
  }
  void turn_reservations() {
    for (const ReservationTurned& turned :
         due_reservations(story_.cluster, WallTime{1'000'000 + story_.now.ms}))
      story_.happen(turned);
  }

  void say_what_is_held() {
    Held held;
    for (std::uint32_t i = 0; i < below(4); ++i) {
      held.insert({Fence{1 + draws_.below(story_.cluster.next_fence)}, RankId{below(3)}});
    }
    for (const What& what :
         reconcile(story_.cluster, NodeId{any_node()}, held, story_.now, Scenario::kLease).events) {
      story_.happen(what);
    }
  }

  // Large nodes join, and every rank that is placed ends well.
  void settle() {
    for (const char* tenant : {"ada", "bob"}) story_.happen(TenantSet{tenant, 1'000, {}});
    for (const char* node : {"a", "b", "c"}) {
      story_.join(node, 64, 8, 99);
      story_.happen(NodeResumed{NodeId{node}});
    }
    for (int round = 0; round < 500; ++round) {
      for (const auto& [name, node] : std::map(story_.cluster.nodes)) {
        for (const Fence fence : node.attempts) {
          for (std::uint32_t rank = 0; rank < 4; ++rank) {
            story_.happen(RankEnded{fence, RankId{rank}, 0, 0, "exited 0", false, false});
          }
        }
      }
      if (is_quiet()) return;
      story_.pass(2s);
      turn_reservations();
    }
  }

  bool is_quiet() const {
    return story_.cluster.queue.empty() && story_.cluster.backoffs.empty() &&
           std::ranges::all_of(story_.cluster.nodes,
                               [](const auto& entry) { return entry.second.attempts.empty(); });
  }

  Draws draws_;
  Scenario story_;
};

TEST(RandomWalk, NothingBreaksAnInvariantAndAllEndsOnceTheFaultsStop) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Walk(seed).run();
    if (::testing::Test::HasFailure()) return;
  }
}

}  // namespace
}  // namespace paddock::scheduler
