#include "tests/scheduler/scenario.h"

namespace paddock::scheduler {
namespace {

TEST(Lease, ALostNodeEndsTheWholeGangWhichStartsAgainElsewhere) {
  Scenario story;
  story.join("a", 2);
  story.join("b", 2);
  const GraphId graph = story.submit({job("train").gang(2, 1)});
  story.start(graph, "train");
  story.join("c", 2);
  story.effects.clear();
  story.fall_silent("a");
  story.pass(14s);
  EXPECT_EQ(story.state(graph, "train"), "running");
  story.pass(1s);
  ASSERT_EQ(story.taken<EndAttempt>().size(), 1u);
  EXPECT_EQ(story.taken<EndAttempt>()[0].node.value, "b");
  story.end(graph, "train", 1, 75);
  EXPECT_EQ(name_of(story.at(graph, "train").attempts[0].outcome), "node_lost");
  story.pass(1s);
  ASSERT_EQ(story.state(graph, "train"), "running");
  EXPECT_EQ(story.newest(graph, "train").ranks[0].node.value, "b");
  EXPECT_EQ(story.newest(graph, "train").ranks[1].node.value, "c");
  EXPECT_EQ(story.at(graph, "train").failures, 0);
}

TEST(Lease, TheFailuresThatALostNodeCausesInItsGangAreNotCounted) {
  Scenario story;
  story.join("a", 2);
  story.join("b", 2);
  const GraphId graph = story.submit({job("train").gang(2, 1)});
  story.fall_silent("a");
  story.end(graph, "train", 1, 1);  // its peer is gone
  story.pass(15s);
  EXPECT_EQ(name_of(story.newest(graph, "train").outcome), "node_lost");
  EXPECT_EQ(story.state(graph, "train"), "backing_off");
}

TEST(Lease, ANewIncarnationMeansThatTheOldRanksAreDead) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("x")});
  story.start(graph, "x");
  story.join("a", 2, 0, 2);
  EXPECT_EQ(story.state(graph, "x"), "backing_off");
  EXPECT_EQ(story.newest(graph, "x").reason, "a lost its ranks: its worker was started again");
  story.pass(1s);
  EXPECT_EQ(story.newest(graph, "x").number, 2u);
}

TEST(Lease, TheSameIncarnationGoesOnUndisturbedAfterARestartOfTheCoordinator) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("x")});
  story.start(graph, "x");
  story.happen(CoordinatorStarted{story.now + Scenario::kLease});
  story.join("a", 2);
  story.pass(20s);
  EXPECT_EQ(story.state(graph, "x"), "running");
  EXPECT_EQ(story.newest(graph, "x").number, 1u);
}

TEST(Lease, ANodeThatSaysGoodbyeIsNotWaitedFor) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("x")});
  story.happen(NodeLeft{NodeId{"a"}, 1});
  EXPECT_EQ(story.state(graph, "x"), "backing_off");
  story.pass(1s);
  EXPECT_EQ(story.why(graph, "x"),
            "waits for a node with 1 free core: a is lost; it would not fit even if nothing else ran");
}

TEST(Lease, ARankThatItsWorkerEndedForItsOwnSakeCountsAsLost) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("x")});
  story.happen(RankEnded{story.newest(graph, "x").fence, RankId{0}, -1, 9,
                         "killed by signal 9 (lease lapsed)", false, true});
  EXPECT_EQ(name_of(story.newest(graph, "x").outcome), "node_lost");
  EXPECT_EQ(story.state(graph, "x"), "backing_off");
}

class Reconcile : public ::testing::Test {
 protected:
  Reconciliation with(const Held& held) {
    return reconcile(story.cluster, NodeId{"a"}, held, story.now, Scenario::kLease);
  }
  Scenario story;
};

TEST_F(Reconcile, SendsALostStartAgainUntilTheRankIsHeld) {
  story.join("a", 2);
  const GraphId graph = story.submit({job("x").gang(1, 2)});
  const Fence fence = story.newest(graph, "x").fence;
  EXPECT_EQ(with({{fence, RankId{0}}}).effects, Effects{(StartRanks{NodeId{"a"}, fence})});
  EXPECT_TRUE(with({{fence, RankId{0}}, {fence, RankId{1}}}).effects.empty());
  story.start(graph, "x");
  EXPECT_TRUE(with({}).effects.empty());  // they have ended, the report is on its way
}

TEST_F(Reconcile, EndsWhatShouldNotRun) {
  story.join("a", 2);
  const auto effects = with({{Fence{77}, RankId{0}}, {Fence{77}, RankId{1}}}).effects;
  EXPECT_EQ(effects, Effects{(EndAttempt{NodeId{"a"}, Fence{77}, 0ms, "the attempt is over"})});
}

TEST_F(Reconcile, SendsALostEndAgain) {
  story.join("a", 2);
  const GraphId graph = story.submit({job("x")});
  story.start(graph, "x");
  story.cancel(graph);
  const Fence fence = story.newest(graph, "x").fence;
  EXPECT_EQ(with({{fence, RankId{0}}}).effects,
            Effects{(EndAttempt{NodeId{"a"}, fence, 10s, "cancelled by a user"})});
}

TEST_F(Reconcile, ARankThatNeverReachedItsWorkerIsGivenUpAfterALease) {
  story.join("a", 2);
  const GraphId graph = story.submit({job("x")});
  story.cancel(graph);
  EXPECT_TRUE(with({}).events.empty());
  story.pass(Scenario::kLease);
  const auto events = with({}).events;
  ASSERT_EQ(events.size(), 1u);
  story.happen(events[0]);
  EXPECT_EQ(story.state(graph), "cancelled");
}

}  // namespace
}  // namespace paddock::scheduler
