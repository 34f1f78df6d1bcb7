// Journals of older programs hold no placements: replay decides again, and must decide as they did. Long random
// histories of a cluster with racks, kinds of GPU, labels, quotas, preemption, drains and losses are decided by the
// rules of before, and what came of them is held against digests that the program of that time has given.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "base/random.h"
#include "scheduler/apply.h"
#include "scheduler/invariants.h"
#include "scheduler/lease.h"
#include "scheduler/reservation.h"

namespace paddock::scheduler {
namespace {

class History {
 public:
  // `forgets`: before each event the index is made anew, as after a restart from a snapshot.
  History(std::uint64_t seed, std::uint64_t rules, bool forgets = false)
      : draws_(seed, 1, Purpose::kOrder), rules_(rules), forgets_(forgets) {
    happen(CoordinatorStarted{Instant{1ll << 40}, rules});
    for (int i = 0; i < kNodes; ++i) join(i);
    if (rules_ >= 5 && seed % 4 == 0) submit_unfit();
    for (int i = 0; i < 600; ++i) step();
  }

  std::uint64_t digest() const { return digest_; }
  const Cluster& cluster() const { return cluster_; }
  // So many attempts started as the rest of the queue was looked through.
  int found_in_rest() const {
    int count = 0;
    for (const auto& [fence, key] : cluster_.attempts)
      count += find_attempt(cluster_, fence).attempt->start.lead == Lead::kFoundInRest ? 1 : 0;
    return count;
  }

 private:
  static constexpr int kNodes = 30;

  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(draws_.below(n)); }
  bool chance(std::uint32_t percent) { return below(100) < percent; }
  NodeId any_node() { return NodeId{"n" + std::to_string(below(kNodes))}; }

  void happen(What what) {
    std::vector<What> next{std::move(what)};
    while (!next.empty()) {
      Event event{Moment{now_, WallTime{now_.ms}}, std::move(next.front())};
      next.erase(next.begin());
      event.is_followed = rules_ >= 4 && !next.empty();  // they are of one turn
      Effects effects;
      if (forgets_) cluster_.index = rebuilt(cluster_);
      apply(cluster_, event, effects);
      for (const Effect& effect : effects) {
        if (const auto* asked = std::get_if<PrepareJob>(&effect))
          next.emplace_back(JobPrepared{asked->job, {{}, "{}", "", {}, stage_of(asked->job)}, false, {}});
        std::visit([this](const auto& each) { note(each); }, effect);
      }
    }
  }
  std::string stage_of(const JobKey& key) const {
    return key.job.value.ends_with("s") ? "stage-" + key.job.value : "";
  }

  void note(const StartRanks& start) { note("start " + start.node.value, start.fence); }
  void note(const EndAttempt& end) { note("end " + end.node.value + " " + end.reason, end.fence); }
  void note(const ReportJob& report) {
    note(std::string(name_of(report.state)), Fence{report.job.graph.value});
  }
  template <typename Other>
  void note(const Other&) {}
  void note(const std::string& text, Fence fence) {
    for (const char letter : text) digest_ = (digest_ ^ static_cast<unsigned char>(letter)) * 0x100000001b3u;
    digest_ = (digest_ ^ fence.value) * 0x100000001b3u;
  }

  void join(int number) {
    const auto i = static_cast<std::uint32_t>(number);
    Offer offer{4 + 4 * (i % 4), (8ull + i % 3) << 30, {}, {}};
    for (std::uint32_t gpu = 0; gpu < 4 * (i % 3); ++gpu)
      offer.gpus.push_back({"GPU-" + std::to_string(i) + "-" + std::to_string(gpu),
                            (i + gpu / 4) % 2 == 0 ? "H100" : "A100", (i % 2 == 0 ? 80ull : 40ull) << 30});
    for (std::uint16_t port = 0; port < 2 + i % 7; ++port)
      offer.ports.push_back(static_cast<std::uint16_t>(29'500 + port));
    if (i % 6 != 5) offer.labels["rack"] = "r" + std::to_string(i / 7);
    if (i % 4 == 1) offer.labels["disk"] = i % 8 == 1 ? "fast" : "slow";
    happen(NodeJoined{NodeId{"n" + std::to_string(i)}, 1 + below(2), "", offer, Instant{1ll << 40}});
  }

  JobRequest draw_job(std::uint32_t i) {
    JobRequest job;
    job.name = JobName{"j" + std::to_string(i) + (chance(20) ? "s" : "")};
    job.kind = "command";
    job.grace = Millis(5'000);
    Request& asked = job.resources.edit();
    asked.nodes = chance(40) ? 1 + below(10) : 1;
    asked.ranks_per_node = 1 + below(3);
    asked.cpus_per_rank = below(5);
    asked.gpus_per_rank = chance(40) ? 1 + below(2) : 0;
    if (chance(20)) asked.memory_bytes_per_rank = 1ull << 30;
    if (asked.nodes > 2 && chance(30)) asked.nodes_min = 1 + below(asked.nodes);
    if (asked.gpus_per_rank > 0 && chance(20)) asked.gpu_model = chance(50) ? "H100" : "100";
    if (asked.gpus_per_rank > 0 && chance(10)) asked.gpu_memory_bytes = 60ull << 30;
    if (chance(8)) asked.labels["disk"] = chance(50) ? "" : "fast";
    if (chance(8)) asked.avoid["disk"] = "slow";
    if (chance(8)) asked.apart = "x";
    if (chance(60)) job.time_limit = Millis(10'000 * (1 + below(20)));
    job.is_preemptible = chance(40);
    job.retry.edit().limit = static_cast<std::int32_t>(below(3));
    return job;
  }

  void submit() {
    GraphSubmitted graph{
        "g", 10 * below(3), "t" + std::to_string(++tokens_), {}, "tenant" + std::to_string(below(4))};
    const std::uint32_t jobs = 1 + below(6);
    for (std::uint32_t i = 0; i < jobs; ++i) graph.jobs.push_back(draw_job(i));
    happen(std::move(graph));
  }

  // More kinds than a decision tries of one tenant, none of which fits: what it submits besides is looked at bit by bit.
  void submit_unfit() {
    GraphSubmitted graph{"unfit", 20, "unfit", {}, "tenant0"};
    for (std::uint32_t i = 0; i < 120; ++i) {
      graph.jobs.push_back(draw_job(i));
      graph.jobs.back().resources.edit().memory_bytes_per_rank = (64ull << 30) + i;
    }
    happen(std::move(graph));
  }

  void end_one() {
    const Fence fence{1 + draws_.below(cluster_.next_fence)};
    const FoundConst found = find_attempt(static_cast<const Cluster&>(cluster_), fence);
    if (found.attempt == nullptr || !found.attempt->is_live()) return;
    const auto ranks = static_cast<std::uint32_t>(found.attempt->ranks.size());
    const std::int32_t code = found.attempt->ending ? 75 : chance(15) ? 1 : 0;
    const std::uint32_t most = chance(85) ? ranks : 1 + below(ranks);  // sometimes only a part of the gang
    for (std::uint32_t rank = 0; rank < most; ++rank)
      happen(RankEnded{fence, RankId{rank}, code, 0, "ended", false, chance(2)});
  }

  void step() {
    now_ = now_ + Millis(100 + below(4'000));
    for (const What& what : due(cluster_, now_)) happen(what);
    for (const ReservationTurned& turned : due_reservations(cluster_, WallTime{now_.ms})) happen(turned);
    if (chance(30)) return submit();
    if (chance(75)) {
      for (int i = 0; i < 12; ++i) end_one();
      return;
    }
    operate();
  }

  void operate() {
    const NodeId node = any_node();
    switch (below(rules_ < 3 ? 7 : 9)) {
      case 0:
        return happen(NodeDrained{node, "disks", chance(50) ? now_ + Millis(9'000) : Instant{}});
      case 1:
      case 2:
        return happen(NodeResumed{node});
      case 3:
        return join(static_cast<int>(below(kNodes)));
      case 4:
        return happen(NodeLost{node, 1 + below(2)});
      case 5:
        return happen(TenantSet{"tenant" + std::to_string(below(4)), 500 + below(2'000),
                                Usage{chance(50) ? 4 + below(60) : 0, chance(30) ? below(20) : 0, 0}});
      case 6:
        return happen(GpuFaulted{node, 1 + below(2), "GPU-" + node.value.substr(1) + "-1", "Xid 79"});
      case 7:
        return happen(ReservationRemoved{"r" + std::to_string(below(3))});
      default:
        return reserve();
    }
  }

  void reserve() {
    ReservationSet asked;
    asked.name = "r" + std::to_string(below(3));
    asked.tenants = {"tenant" + std::to_string(below(4))};
    asked.nodes = 1 + below(8);
    asked.begins = WallTime{now_.ms + 1'000 * below(60)};
    asked.ends = WallTime{asked.begins.unix_ms + 1'000 * (30 + below(200))};
    happen(std::move(asked));
  }

  Draws draws_;
  const std::uint64_t rules_;
  const bool forgets_;
  Cluster cluster_;
  Instant now_{1'000};
  int tokens_ = 0;
  std::uint64_t digest_ = 0xcbf29ce484222325u;
};

struct Known {
  std::uint64_t seed;
  std::uint64_t digest;
};

TEST(Rules, OldJournalsAreDecidedAsTheyWereThen) {
  constexpr std::array kByRules2{
#include "tests/scheduler/rules_2_digests.inc"
  };
  constexpr std::array kByRules3{
#include "tests/scheduler/rules_3_digests.inc"
  };
  constexpr std::array kByRules4{
#include "tests/scheduler/rules_4_digests.inc"
  };
  const auto expect = [](std::uint64_t rules, const Known& known) {
    const History history(known.seed, rules);
    EXPECT_EQ(history.digest(), known.digest) << "rules " << rules << ", seed " << known.seed;
    for (const std::string& broken : check_invariants(history.cluster())) ADD_FAILURE() << broken;
  };
  for (const Known& known : kByRules2) expect(2, known);
  for (const Known& known : kByRules3) expect(3, known);
  for (const Known& known : kByRules4) expect(4, known);
}

// A coordinator that goes on from a snapshot has forgotten what its decisions remember of each other, and decides alike.
TEST(Rules, WhatDecisionsRememberChangesNothing) {
  std::uint64_t spared = 0;
  int found_in_rest = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const std::uint64_t rules = 3 + seed % (kRules - 2);
    const History remembers(seed, rules);
    const History forgets(seed, rules, true);
    EXPECT_EQ(remembers.digest(), forgets.digest()) << "seed " << seed;
    EXPECT_TRUE(remembers.cluster() == forgets.cluster()) << "seed " << seed;
    for (const std::string& broken : check_invariants(remembers.cluster())) ADD_FAILURE() << broken;
    spared += remembers.cluster().index.spared;
    found_in_rest += remembers.found_in_rest();
  }
  EXPECT_GT(found_in_rest, 0);
  EXPECT_GT(spared, 1'000u);
}

}  // namespace
}  // namespace paddock::scheduler
