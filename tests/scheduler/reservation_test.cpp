// Nodes set aside for tenants: what may be placed on them before, during and after.
#include "scheduler/reservation.h"

#include "tests/scheduler/scenario.h"

namespace paddock::scheduler {
namespace {

class ReservationStory : public Scenario {
 public:
  ReservationStory() {
    for (const char* node : {"a", "b", "c"}) join(node, 4);
  }
  WallTime wall(Millis later = Millis(0)) const { return WallTime{1'000'000 + now.ms + later.count()}; }
  void reserve(std::uint32_t nodes, Millis begins, Millis ends, const char* name = "talk") {
    happen(ReservationSet{name, {"vision"}, nodes, {}, wall(begins), wall(ends)});
  }
  // Time passes, and what begins or ends by it does.
  void wait(Millis time) {
    for (Millis passed(0); passed < time; passed += 1s) {
      pass(1s);
      for (const ReservationTurned& turned : due_reservations(cluster, wall())) happen(turned);
    }
  }
  std::string node_of(GraphId graph) const {
    return at(graph, "j").attempts.empty() ? "" : at(graph, "j").attempts.back().ranks.front().node.value;
  }
  // As many jobs of the tenant as fill the three nodes.
  std::vector<GraphId> submit_three(const char* tenant, Millis limit = Millis(0)) {
    std::vector<GraphId> graphs;
    for (int i = 0; i < 3; ++i) graphs.push_back(submit({job("j").cpus(4).time_limit(limit)}, 0, "", tenant));
    return graphs;
  }
  int running(const std::vector<GraphId>& graphs) const {
    return static_cast<int>(
        std::ranges::count_if(graphs, [&](GraphId graph) { return state(graph, "j") == "running"; }));
  }
};

TEST(Reservation, BeforeItBeginsNothingStartsThereThatMightRunIntoIt) {
  ReservationStory story;
  story.reserve(2, 60s, 120s);
  ASSERT_EQ(story.cluster.reservations.at("talk").nodes, (std::set{NodeId{"a"}, NodeId{"b"}}));
  const auto endless = story.submit_three("audio");
  EXPECT_EQ(story.running(endless), 1);
  EXPECT_EQ(story.node_of(endless[0]), "c");
  EXPECT_EQ(story.why(endless[1], "j"),
            "waits because a is reserved for tenant vision from 1970-01-01T00:17:41Z (reservation talk); a "
            "time_limit "
            "that ends before that would let it run");
  const GraphId brief =
      story.submit({job("j").cpus(4).time_limit(50s)}, 0, "", "audio");  // and 10 s of grace
  EXPECT_EQ(story.node_of(brief), "a");
  const GraphId too_long = story.submit({job("j").cpus(4).time_limit(51s)}, 0, "", "audio");
  EXPECT_EQ(story.state(too_long, "j"), "queued");
}

TEST(Reservation, ItsTenantsMayRunThereBeforeAndInIt) {
  ReservationStory story;
  story.reserve(3, 60s, 120s);
  const auto own = story.submit_three("vision");
  EXPECT_EQ(story.running(own), 3);
  story.wait(70s);
  EXPECT_TRUE(story.cluster.reservations.at("talk").has_begun);
  EXPECT_EQ(story.running(own), 3) << "what is its tenants' is not touched";
}

TEST(Reservation, InsideItOnlyItsTenantsRunAndAfterItEverybody) {
  ReservationStory story;
  story.reserve(2, 10s, 30s);
  story.wait(11s);
  const auto others = story.submit_three("audio", 1s);
  EXPECT_EQ(story.running(others), 1) << "however short they are";
  EXPECT_EQ(story.why(others[1], "j"),
            "waits because a is reserved for tenant vision until 1970-01-01T00:17:11Z (reservation talk)");
  const GraphId own = story.submit({job("j").cpus(4)}, 0, "", "vision");
  EXPECT_EQ(story.node_of(own), "a");
  story.wait(20s);
  EXPECT_TRUE(story.cluster.reservations.empty());
  EXPECT_EQ(story.state(own, "j"), "running") << "its end ends nothing";
  EXPECT_EQ(story.state(others[1], "j"), "running");
}

TEST(Reservation, WhatOfOthersStillRunsWhenItBeginsIsAskedToGoAndQueuedAgain) {
  ReservationStory story;
  const auto others = story.submit_three("audio");
  story.reserve(1, 10s, 60s);
  const NodeId node = *story.cluster.reservations.at("talk").nodes.begin();
  EXPECT_EQ(nodes_to_clear(story.cluster, story.cluster.reservations.at("talk")), std::set{node});
  story.wait(9s);
  EXPECT_FALSE(story.newest(others[0], "j").ending);
  story.wait(2s);
  const Attempt& attempt = story.at(others[0], "j").attempts.back();
  ASSERT_TRUE(attempt.ending);
  EXPECT_EQ(attempt.ending->reason, "its node a is reserved now (talk)");
  story.end(others[0], "j", 0, 75);
  EXPECT_EQ(story.at(others[0], "j").failures, 0);
  story.wait(2s);
  EXPECT_EQ(story.state(others[0], "j"), "queued");
  const GraphId own = story.submit({job("j").cpus(4)}, 0, "", "vision");
  EXPECT_EQ(story.node_of(own), "a");
}

TEST(Reservation, ItTakesNodesOnWhichNothingIsInTheWay) {
  ReservationStory story;
  const auto endless = story.submit({job("j").cpus(4)}, 0, "", "audio");
  const auto brief = story.submit({job("j").cpus(4).time_limit(30s)}, 0, "", "audio");
  const std::string busy = story.node_of(endless);
  story.reserve(2, 60s, 120s);
  EXPECT_FALSE(story.cluster.reservations.at("talk").nodes.contains(NodeId{busy}));
  EXPECT_TRUE(nodes_to_clear(story.cluster, story.cluster.reservations.at("talk")).empty())
      << story.node_of(brief);
}

TEST(Reservation, TwoDoNotShareANodeAtATime) {
  ReservationStory story;
  story.reserve(2, 60s, 120s);
  story.reserve(2, 100s, 200s, "second");
  EXPECT_FALSE(story.cluster.reservations.contains("second"));
  const ReservationSet wanted{"second", {"audio"}, 2, {}, story.wall(100s), story.wall(200s)};
  EXPECT_EQ(
      nodes_to_reserve(story.cluster, wanted, story.wall()).error().message,
      "reservation second asks for 2 nodes, and 1 would do, besides 2 that are reserved at that time: ask "
      "for fewer nodes, other labels or another time (`paddock reservations` lists what is reserved)");
  story.reserve(3, 120s, 200s, "after");
  EXPECT_TRUE(story.cluster.reservations.contains("after"));
  story.happen(ReservationRemoved{"talk"});
  const auto others = story.submit_three("audio", 30s);
  EXPECT_EQ(story.running(others), 3);
}

TEST(Reservation, BySelectItHasAllNodesWithTheLabel) {
  ReservationStory story;
  Offer offer{4, 1u << 30, {}, {29'500}};
  offer.labels["rack"] = "r1";
  story.join("d", offer);
  story.happen(ReservationSet{"rack", {"vision"}, 0, {{"rack", "r1"}}, story.wall(10s), story.wall(20s)});
  EXPECT_EQ(story.cluster.reservations.at("rack").nodes, std::set{NodeId{"d"}});
  story.happen(ReservationSet{"none", {"vision"}, 0, {{"rack", "r9"}}, story.wall(10s), story.wall(20s)});
  EXPECT_FALSE(story.cluster.reservations.contains("none"));
}

TEST(Reservation, AGangThatWaitsKeepsNoReservedNodes) {
  ReservationStory story;
  const auto busy = story.submit_three("audio", 40s);
  const GraphId gang = story.submit({job("j").gang(2, 1).cpus(4)}, 9, "", "audio");
  ASSERT_EQ(story.cluster.holds.size(), 1u);
  story.reserve(2, 100s, 200s);
  EXPECT_TRUE(story.cluster.holds.empty()) << "it could not run there for as long as it likes";
  for (const GraphId graph : busy) story.end(graph, "j", 0, 0);
  EXPECT_EQ(story.state(gang, "j"), "queued");
  const GraphId own = story.submit({job("j").gang(2, 1).cpus(4)}, 0, "", "vision");
  EXPECT_EQ(story.state(own, "j"), "running") << "and keeps nobody off them";
  story.happen(ReservationRemoved{"talk"});
  story.end_all(own, "j", 0);
  EXPECT_EQ(story.state(gang, "j"), "running");
}

// It will have room on "a" soonest, but would then still run when "a" is reserved.
TEST(Reservation, AGangThatWaitsKeepsNoNodesThatAreReservedByTheTimeItCanStart) {
  ReservationStory story;
  story.happen(NodeDrained{NodeId{"c"}, "disks", {}});
  story.submit({job("j").cpus(4).time_limit(20s)}, 0, "", "audio");
  story.submit({job("j").cpus(4).time_limit(40s)}, 0, "", "audio");
  story.happen(ReservationSet{"talk", {"vision"}, 1, {}, story.wall(75s), story.wall(600s)});
  ASSERT_EQ(story.cluster.reservations.at("talk").nodes, std::set{NodeId{"a"}});
  const GraphId waits = story.submit({job("j").cpus(4).time_limit(50s)}, 0, "", "audio");
  ASSERT_EQ(story.cluster.holds.size(), 1u);
  EXPECT_EQ(story.cluster.holds[0].nodes, std::set{NodeId{"b"}});
  EXPECT_EQ(story.cluster.holds[0].from, story.now + 50s);
  // So "b" is not given to one that would run for longer than that, when it is free before its time.
  story.end(GraphId{2}, "j", 0, 0);
  EXPECT_EQ(story.node_of(waits), "b");
}

TEST(Reservation, AHoldGoesElsewhereWhenItsNodesAreReservedForThen) {
  ReservationStory story;
  story.happen(NodeDrained{NodeId{"c"}, "disks", {}});
  story.submit({job("j").cpus(4).time_limit(20s)}, 0, "", "audio");
  story.submit({job("j").cpus(4).time_limit(40s)}, 0, "", "audio");
  story.submit({job("j").cpus(4).time_limit(50s)}, 0, "", "audio");
  ASSERT_EQ(story.cluster.holds[0].nodes, std::set{NodeId{"a"}});
  story.happen(ReservationSet{"talk", {"vision"}, 1, {}, story.wall(75s), story.wall(600s)});
  ASSERT_EQ(story.cluster.reservations.at("talk").nodes, std::set{NodeId{"a"}});
  EXPECT_EQ(story.cluster.holds[0].nodes, std::set{NodeId{"b"}});
}

// It would end before the reservation begins if it started now, but not when the other has gone.
TEST(Reservation, NobodyIsAskedToGoForOneThatCouldNotRunThereAnyMore) {
  ReservationStory story;
  for (const char* node : {"b", "c"}) story.happen(NodeDrained{NodeId{node}, "disks", {}});
  const GraphId low = story.submit({job("j").cpus(4).preemptible().time_limit(60s)}, 0, "", "audio");
  story.happen(ReservationSet{"talk", {"vision"}, 1, {}, story.wall(75s), story.wall(600s)});
  story.submit({job("j").cpus(4).time_limit(60s)}, 9, "", "audio");
  EXPECT_FALSE(story.newest(low, "j").ending);
  story.submit({job("j").cpus(4).time_limit(55s)}, 9, "", "audio");
  EXPECT_TRUE(story.newest(low, "j").ending) << "it can be gone in 10 s";
}

TEST(Reservation, OneTenantsFailureToFitIsNotTheOthers) {
  ReservationStory story;
  story.reserve(3, 0s, 100s);
  story.wait(1s);
  // The same request: the first in line must wait, the second may run.
  const GraphId other = story.submit({job("j").cpus(4)}, 5, "", "audio");
  const GraphId own = story.submit({job("j").cpus(4)}, 0, "", "vision");
  EXPECT_EQ(story.state(other, "j"), "queued");
  EXPECT_EQ(story.state(own, "j"), "running");
}

}  // namespace
}  // namespace paddock::scheduler
