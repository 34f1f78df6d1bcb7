#include "tests/scheduler/scenario.h"

namespace paddock::scheduler {
namespace {

TEST(Attempt, OneFailedRankEndsTheGang) {
  Scenario story;
  story.join("a", 2);
  story.join("b", 2);
  const GraphId graph = story.submit({job("train").gang(2, 2).retry(1, 5s)});
  story.start(graph, "train");
  story.effects.clear();
  const Fence fence = story.newest(graph, "train").fence;
  story.happen(FailureReported{fence, RankId{3}, "the loss is NaN at step 12"});
  story.end(graph, "train", 3, 1);
  EXPECT_EQ(story.taken<EndAttempt>().size(), 2u);
  EXPECT_EQ(story.state(graph, "train"), "running");
  story.end_all(graph, "train", 75);
  EXPECT_EQ(story.state(graph, "train"), "backing_off");
  EXPECT_EQ(story.why(graph, "train"),
            "attempt 1 ended (rank 3 on b: exited 1: the loss is NaN at step 12); tries again in 5 s");
  story.pass(5s);
  EXPECT_EQ(story.state(graph, "train"), "running");
  EXPECT_GT(story.newest(graph, "train").fence, fence);
  EXPECT_EQ(story.newest(graph, "train").number, 2u);
}

TEST(Retry, PausesGrowAndEndAtTheLimit) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("x").retry(2, 10s)});
  story.end_all(graph, "x", 1);
  story.pass(9s);
  EXPECT_EQ(story.state(graph, "x"), "backing_off");
  story.pass(1s);
  story.end_all(graph, "x", 1);
  story.pass(19s);
  EXPECT_EQ(story.state(graph, "x"), "backing_off");
  story.pass(1s);
  story.end_all(graph, "x", 1);
  EXPECT_EQ(story.state(graph, "x"), "failed");
  EXPECT_EQ(story.at(graph, "x").attempts.size(), 3u);
}

TEST(Retry, WrongOptionsAreNotTriedAgain) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("x").retry(5, 1s)});
  story.end_all(graph, "x", 2);
  EXPECT_EQ(story.state(graph, "x"), "failed");
}

TEST(Retry, AStopOnRequestDoesNotCount) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("x")});
  for (int i = 0; i < 3; ++i) {
    story.end_all(graph, "x", 75);
    EXPECT_EQ(story.state(graph, "x"), "backing_off");
    story.pass(60s);
    EXPECT_EQ(story.state(graph, "x"), "running");
  }
  EXPECT_EQ(story.at(graph, "x").failures, 0);
}

TEST(Attempt, WhatAStaleOneReportsIsRefused) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("x").retry(1, 0s)});
  const Fence stale = story.newest(graph, "x").fence;
  story.end_all(graph, "x", 1);
  story.pass(1s);
  story.effects.clear();
  story.happen(ArtifactRecorded{stale, "checkpoint", Artifact{"/store/old", "h"}});
  story.happen(CheckpointRecorded{stale, 7, "/store/old", "h", 1});
  story.happen(RankEnded{stale, RankId{0}, 0, 0, "exited 0", false, false});
  EXPECT_TRUE(story.at(graph, "x").artifacts.empty());
  EXPECT_TRUE(story.taken<RecordCheckpoint>().empty());
  EXPECT_EQ(story.state(graph, "x"), "running");
}

TEST(Attempt, SucceedsOnlyWhenAllRanksDo) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("x").gang(1, 2)});
  story.start(graph, "x");
  EXPECT_EQ(story.why(graph, "x"), "runs on a");
  story.end(graph, "x", 0, 0);
  story.end(graph, "x", 0, 0);
  EXPECT_EQ(story.state(graph, "x"), "running");
  story.end(graph, "x", 1, 0);
  EXPECT_EQ(story.state(graph, "x"), "succeeded");
}

}  // namespace
}  // namespace paddock::scheduler
