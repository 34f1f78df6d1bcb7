#include "tests/scheduler/scenario.h"

namespace paddock::scheduler {
namespace {

// A turn of the coordinator is decided as a whole, so what came first does not take what something more urgent of the same turn
// needs, and a gang's nodes are not given away one by one as its ranks end.
TEST(Placement, IsDecidedOnceATurn) {
  Scenario story;
  story.join("a", 1);
  story.prepares_by_itself = false;
  const GraphId low = story.submit({job("x")});
  const GraphId high = story.submit({job("x")}, 10);
  const auto prepared = [&](GraphId graph) {
    return JobPrepared{JobKey{graph, JobName{"x"}}, {{}, "{}", "", {}, ""}, false, {}};
  };
  story.happen(prepared(low), true);
  EXPECT_EQ(story.state(low, "x"), "queued");
  story.happen(prepared(high));
  EXPECT_EQ(story.state(low, "x"), "queued");
  EXPECT_EQ(story.state(high, "x"), "running");
}

TEST(Placement, GivesAGangAllItsNodesOrNone) {
  Scenario story;
  story.join("a", 4);
  const GraphId graph = story.submit({job("train").gang(2, 2)});
  EXPECT_EQ(
      story.why(graph, "train"),
      "waits for 2 nodes with 2 free cores each: a would do; it would not fit even if nothing else ran");
  story.join("b", 2);
  ASSERT_EQ(story.state(graph, "train"), "running");
  const Attempt attempt = story.newest(graph, "train");
  ASSERT_EQ(attempt.ranks.size(), 4u);
  EXPECT_EQ(attempt.ranks[0].node.value, "a");
  EXPECT_EQ(attempt.ranks[3].node.value, "b");
  EXPECT_EQ(attempt.ranks[3].local_rank, 1u);
  EXPECT_NE(attempt.master_port, 0);
  EXPECT_EQ(story.taken<StartRanks>().size(), 2u);
}

TEST(Placement, ExplainsWhatEveryNodeLacks) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("x"), job("y").cpus(2), job("z").gpus(1)});
  EXPECT_EQ(story.why(graph, "y"), "waits for a node with 2 free cores: a has 1 of 2 free");
  EXPECT_EQ(story.why(graph, "z"),
            "waits for a node with 1 free core and 1 free GPU: a has 0 of 0 GPUs free; "
            "it would not fit even if nothing else ran");
  EXPECT_EQ(explain_request(story.cluster, Request{}), "would run now on a");
}

TEST(Placement, HandsOutEachGpuOnce) {
  Scenario story;
  story.join("a", 8, 4);
  const GraphId graph = story.submit({job("x").gang(1, 2).gpus(1), job("y").gpus(2), job("z").gpus(1)});
  EXPECT_EQ(story.newest(graph, "x").ranks[1].gpus, std::vector<std::string>{"GPU-a1"});
  EXPECT_EQ(story.newest(graph, "y").ranks[0].gpus, (std::vector<std::string>{"GPU-a2", "GPU-a3"}));
  EXPECT_EQ(story.state(graph, "z"), "queued");
  story.end_all(graph, "x", 0);
  EXPECT_EQ(story.newest(graph, "z").ranks[0].gpus, std::vector<std::string>{"GPU-a0"});
}

TEST(Placement, PrefersPriorityThenTheOrderOfSubmission) {
  Scenario story;
  story.join("a", 1);
  const GraphId running = story.submit({job("x")});
  const GraphId second = story.submit({job("x")});
  const GraphId third = story.submit({job("x")});
  const GraphId urgent = story.submit({job("x")}, 50);
  story.end_all(running, "x", 0);
  EXPECT_EQ(story.state(urgent, "x"), "running");
  story.end_all(urgent, "x", 0);
  EXPECT_EQ(story.state(second, "x"), "running");
  EXPECT_EQ(story.state(third, "x"), "queued");
}

TEST(Placement, KeepsNodesForALargeJobThatWaitsOnlyForOthersToEnd) {
  Scenario story;
  story.join("a", 2);
  story.join("b", 2);
  const GraphId small = story.submit({job("x")});
  const GraphId large = story.submit({job("x").gang(2, 2)});
  const GraphId later = story.submit({job("x")});
  EXPECT_EQ(story.state(large, "x"), "queued");
  EXPECT_EQ(story.why(later, "x"), "waits its turn behind 2/x, for which a, b are being kept");
  story.end_all(small, "x", 0);
  EXPECT_EQ(story.state(large, "x"), "running");
  story.end_all(large, "x", 0);
  EXPECT_EQ(story.state(later, "x"), "running");
}

TEST(Placement, AJobTooLargeForTheClusterHoldsNobodyUp) {
  Scenario story;
  story.join("a", 2);
  const GraphId huge = story.submit({job("x").cpus(64)});
  const GraphId small = story.submit({job("x")});
  EXPECT_EQ(story.state(huge, "x"), "queued");
  EXPECT_EQ(story.state(small, "x"), "running");
}

TEST(Placement, AccountsForMemory) {
  Scenario story;
  story.join("a", 8, 0, 1, 100u << 20);
  const GraphId graph = story.submit({job("x").memory(60u << 20), job("y").memory(60u << 20)});
  EXPECT_EQ(story.state(graph, "x"), "running");
  EXPECT_EQ(story.why(graph, "y"),
            "waits for a node with 1 free core and 60 MiB of free memory: a has 40 MiB of 100 MiB free");
}

}  // namespace
}  // namespace paddock::scheduler
