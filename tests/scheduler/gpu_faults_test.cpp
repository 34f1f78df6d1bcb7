// GPUs that fall ill: nothing new is placed on them, whoever holds one keeps it, and nobody waits for what is gone.
#include "tests/scheduler/scenario.h"

namespace paddock::scheduler {
namespace {

// join() calls the GPUs of node a GPU-a0, GPU-a1, …
GpuFaulted fault(const char* gpu, std::uint64_t incarnation = 1) {
  return {NodeId{"a"}, incarnation, gpu, "Xid 79"};
}

TEST(GpuFaults, AFaultyGpuIsPlacedNoMoreAndItsRankKeepsItUntilItEnds) {
  Scenario story;
  story.join("a", 8, 2);
  const GraphId first = story.submit({job("x").gpus(1)});
  ASSERT_EQ(story.newest(first, "x").ranks[0].gpus, std::vector<std::string>{"GPU-a0"});
  story.happen(fault("GPU-a0"));
  EXPECT_EQ(story.state(first, "x"), "running");
  const GraphId second = story.submit({job("y").gpus(1), job("z").gpus(1)});
  EXPECT_EQ(story.newest(second, "y").ranks[0].gpus, std::vector<std::string>{"GPU-a1"});
  story.end_all(first, "x", 0);
  EXPECT_EQ(story.state(second, "z"), "queued") << "the faulty GPU was given out again";
  story.end_all(second, "y", 0);
  EXPECT_EQ(story.newest(second, "z").ranks[0].gpus, std::vector<std::string>{"GPU-a1"});
}

TEST(GpuFaults, WhatWasKeptForAJobThatFitsThereNoMoreIsFree) {
  Scenario story;
  story.join("a", 8, 2);
  const GraphId running = story.submit({job("small").gpus(1)});
  const GraphId waiting = story.submit({job("both").gpus(2)});
  const GraphId behind = story.submit({job("cores").cpus(4)});
  ASSERT_EQ(story.state(behind, "cores"), "queued") << "the node must be kept for both";
  story.happen(fault("GPU-a1"));
  EXPECT_EQ(story.state(behind, "cores"), "running");
  EXPECT_EQ(story.state(waiting, "both"), "queued");
  EXPECT_EQ(story.state(running, "small"), "running");
}

TEST(GpuFaults, OneToldWhileItsNodeWasTakenForLostIsNotForgotten) {
  Scenario story;
  story.join("a", 8, 1);
  story.fall_silent("a");
  story.pass(20s);
  ASSERT_FALSE(story.cluster.nodes.at(NodeId{"a"}).is_ready);
  story.happen(fault("GPU-a0"));
  story.join("a", 8, 1);  // the same daemon: it goes on
  const GraphId graph = story.submit({job("x").gpus(1)});
  EXPECT_EQ(story.state(graph, "x"), "queued");
  story.join("a", 8, 1, 2);  // started again, it has looked at its GPUs anew
  EXPECT_EQ(story.state(graph, "x"), "running");
}

TEST(GpuFaults, OfAnotherDaemonOrAnUnknownGpuAreNone) {
  Scenario story;
  story.join("a", 8, 1, 2);
  story.happen(fault("GPU-a0", 1));
  story.happen(fault("GPU-a7", 2));
  const GraphId graph = story.submit({job("x").gpus(1)});
  EXPECT_EQ(story.state(graph, "x"), "running");
}

TEST(GpuFaults, OldRecordsAreDecidedAsTheyWere) {
  Scenario story;
  story.happen(CoordinatorStarted{story.now + Scenario::kLease, 2});
  story.join("a", 8, 2);
  story.submit({job("small").gpus(1)});
  story.submit({job("both").gpus(2)});
  const GraphId behind = story.submit({job("cores").cpus(4)});
  story.happen(fault("GPU-a1"));
  EXPECT_EQ(story.state(behind, "cores"), "queued");
  story.happen(CoordinatorStarted{story.now + Scenario::kLease});
  EXPECT_EQ(story.state(behind, "cores"), "running");
}

}  // namespace
}  // namespace paddock::scheduler
