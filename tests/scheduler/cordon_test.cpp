#include "scheduler/cordon.h"

#include "scheduler/failure.h"
#include "tests/scheduler/scenario.h"

namespace paddock::scheduler {
namespace {

// The attempt of `name` ends for its node's sake; returns where it was.
std::string fault(Scenario& story, GraphId graph, const char* name) {
  const Attempt attempt = story.newest(graph, name);
  story.happen(RankEnded{attempt.fence, RankId{0}, -1, 9, "killed by signal 9", false, true});
  return attempt.ranks[0].node.value;
}

TEST(Retry, ANodesFaultIsFollowedByAnAttemptElsewhere) {
  Scenario story;
  story.join("a", 2);
  story.join("b", 8);
  const GraphId graph = story.submit({job("x")});
  EXPECT_EQ(fault(story, graph, "x"), "a");
  story.pass(1s);
  EXPECT_EQ(story.newest(graph, "x").ranks[0].node.value, "b");
  EXPECT_EQ(story.at(graph, "x").failures, 0);
}

TEST(Retry, GoesBackToASuspectedNodeWhereThereIsNoOther) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("x")});
  fault(story, graph, "x");
  story.pass(1s);
  EXPECT_EQ(story.state(graph, "x"), "running");
}

TEST(Retry, EndsWithTheClassesThatItsOwnerNames) {
  Scenario story;
  story.join("a", 4);
  const GraphId graph =
      story.submit({job("x").retry(5, 1s).not_on({"exit:3"}), job("y").retry(5, 1s).not_on({"exit"}),
                    job("z").retry(5, 1s).not_on({"signal"})});
  story.end_all(graph, "x", 3);
  story.end_all(graph, "y", 77);
  story.end_all(graph, "z", 3);
  EXPECT_EQ(story.state(graph, "x"), "failed");
  EXPECT_EQ(story.state(graph, "y"), "failed");
  EXPECT_EQ(story.state(graph, "z"), "backing_off");
}

TEST(Retry, KnowsItsClasses) {
  for (const char* known : {"time_limit", "out_of_memory", "signal", "exit", "exit:1", "exit:255"})
    EXPECT_TRUE(is_failure_class(known)) << known;
  for (const char* unknown : {"", "exit:", "exit:0", "exit:256", "exit:1x", "oom"})
    EXPECT_FALSE(is_failure_class(unknown)) << unknown;
}

TEST(Cordon, ANodeThatFailsThreeAttemptsInARowGetsNoneForAWhile) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("x")});
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(story.state(graph, "x"), "running");
    fault(story, graph, "x");
    if (i < 2) story.pass(4s);
  }
  story.pass(30s);
  EXPECT_EQ(story.state(graph, "x"), "queued");
  EXPECT_EQ(
      story.why(graph, "x"),
      "waits for a node with 1 free core: a is cordoned: 3 attempts in a row ended for its sake, the last "
      "because rank 0 on a: killed by signal 9; it is tried again after 1 min");
  story.pass(30s);
  EXPECT_EQ(story.state(graph, "x"), "running");
  fault(story, graph, "x");  // on probation: once is enough, and it is longer
  story.pass(60s);
  EXPECT_EQ(story.state(graph, "x"), "queued");
  story.pass(60s);
  EXPECT_EQ(story.state(graph, "x"), "running");
}

TEST(Cordon, ASuccessClearsANodesName) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("x")});
  fault(story, graph, "x");
  story.pass(4s);
  fault(story, graph, "x");
  story.pass(4s);
  const GraphId other = story.submit({job("y")});
  story.end_all(other, "y", 0);
  EXPECT_EQ(story.cluster.nodes.at(NodeId{"a"}).faults, 0);
  fault(story, graph, "x");
  EXPECT_TRUE(story.cluster.nodes.at(NodeId{"a"}).takes_work());
}

TEST(Cordon, TheOperatorLiftsItAtOnce) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("x")});
  for (int i = 0; i < 3; ++i) {
    fault(story, graph, "x");
    story.pass(4s);
  }
  EXPECT_EQ(story.state(graph, "x"), "queued");
  story.happen(NodeResumed{NodeId{"a"}});
  EXPECT_EQ(story.state(graph, "x"), "running");
}

TEST(Drain, MovesWhatRunsAtItsNextCheckpointAndLetsNothingNewIn) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("train"), job("later").needs({"train"})});
  story.join("b", 2);
  const Fence fence = story.newest(graph, "train").fence;
  story.happen(NodeDrained{NodeId{"a"}, "new disks", Instant{}});
  EXPECT_EQ(story.state(graph, "train"), "running");
  EXPECT_FALSE(story.newest(graph, "train").ending);
  story.effects.clear();
  story.happen(CheckpointRecorded{fence, 100, "/store/c", "h", 1});
  EXPECT_EQ(story.why(graph, "train"), "is being ended: a is being drained: new disks");
  ASSERT_EQ(story.taken<EndAttempt>().size(), 1u);
  story.end_all(graph, "train", 75);
  EXPECT_EQ(name_of(story.at(graph, "train").attempts[0].outcome), "preempted");
  story.pass(1s);
  EXPECT_EQ(story.newest(graph, "train").ranks[0].node.value, "b");
  story.end_all(graph, "train", 0);
  EXPECT_EQ(story.newest(graph, "later").ranks[0].node.value, "b");
  story.happen(NodeResumed{NodeId{"a"}});
  EXPECT_TRUE(story.cluster.nodes.at(NodeId{"a"}).takes_work());
}

TEST(Drain, ADeadlineEndsWhatNeverSavesItself) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("x")});
  story.happen(NodeDrained{NodeId{"a"}, "", story.now + 60s});
  story.pass(59s);
  EXPECT_FALSE(story.newest(graph, "x").ending);
  story.pass(1s);
  EXPECT_TRUE(story.newest(graph, "x").ending);
  story.end_all(graph, "x", 75);
  story.pass(10s);
  EXPECT_EQ(story.state(graph, "x"), "queued");
}

TEST(Drain, OutlivesARestartOfTheWorker) {
  Scenario story;
  story.join("a", 2);
  story.happen(NodeDrained{NodeId{"a"}, "new disks", Instant{}});
  story.join("a", 2, 0, 2);
  const GraphId graph = story.submit({job("x")});
  EXPECT_EQ(story.state(graph, "x"), "queued");
}

}  // namespace
}  // namespace paddock::scheduler
