#include "tests/scheduler/scenario.h"

namespace paddock::scheduler {
namespace {

using ::testing::Test;

TEST(Graph, RunsAJobOnlyAfterWhatItNeeds) {
  Scenario story;
  story.join("a", 4);
  const GraphId graph = story.submit({job("data"), job("train").needs({"data"})});
  EXPECT_EQ(story.state(graph, "data"), "running");
  EXPECT_EQ(story.why(graph, "train"), "waits for data (running)");
  story.end_all(graph, "data", 0);
  EXPECT_EQ(story.state(graph, "train"), "running");
  story.end_all(graph, "train", 0);
  EXPECT_EQ(story.state(graph), "succeeded");
}

TEST(Graph, SkipsAllThatComesAfterAFailureAndFinishesTheRest) {
  Scenario story;
  story.join("a", 4);
  const GraphId graph =
      story.submit({job("data"), job("train").needs({"data"}), job("judge").needs({"train"}), job("other")});
  story.end_all(graph, "data", 1);
  EXPECT_EQ(story.state(graph, "train"), "skipped");
  EXPECT_EQ(story.state(graph, "judge"), "skipped");
  EXPECT_EQ(story.why(graph, "judge"), "needs train, which was skipped");
  EXPECT_EQ(story.state(graph), "active");
  story.end_all(graph, "other", 0);
  EXPECT_EQ(story.state(graph), "failed");
}

TEST(Graph, IsAcceptedOnceHoweverOftenItIsSent) {
  Scenario story;
  const GraphId first = story.submit({job("x")}, 0, "same");
  story.submit({job("x")}, 0, "same");
  EXPECT_EQ(story.cluster.graphs.size(), 1u);
  EXPECT_EQ(story.cluster.tokens.at("same"), first);
}

TEST(Graph, CancelledEndsWhatRunsAndNothingElseStarts) {
  Scenario story;
  story.join("a", 1);
  const GraphId graph = story.submit({job("x"), job("y"), job("z").needs({"x"})});
  story.start(graph, "x");
  story.effects.clear();
  story.cancel(graph);
  EXPECT_EQ(story.state(graph, "x"), "running");
  EXPECT_EQ(story.why(graph, "x"), "is being ended: cancelled by a user");
  EXPECT_EQ(story.state(graph, "y"), "cancelled");
  EXPECT_EQ(story.state(graph, "z"), "cancelled");
  EXPECT_EQ(story.taken<EndAttempt>().size(), 1u);
  story.end_all(graph, "x", 75);
  EXPECT_EQ(story.state(graph, "x"), "cancelled");
  EXPECT_EQ(story.state(graph), "cancelled");
}

TEST(Graph, CancelledBeforeItsPreparationIsAnsweredStaysCancelled) {
  Scenario story;
  story.prepares_by_itself = false;
  const GraphId graph = story.submit({job("x")});
  story.cancel(graph);
  story.happen(JobPrepared{JobKey{graph, JobName{"x"}}, {}, false, {}});
  EXPECT_EQ(story.state(graph, "x"), "cancelled");
}

TEST(Graph, ARefusedPreparationFailsTheJobWithTheReason) {
  Scenario story;
  story.prepares_by_itself = false;
  const GraphId graph = story.submit({job("x")});
  story.happen(JobRefused{JobKey{graph, JobName{"x"}}, "with.steps must be at least 1"});
  EXPECT_EQ(story.state(graph, "x"), "failed");
  EXPECT_EQ(story.why(graph, "x"), "with.steps must be at least 1");
}

TEST(Graph, AskedAgainToPrepareAfterARestart) {
  Scenario story;
  story.prepares_by_itself = false;
  const GraphId graph = story.submit({job("x")});
  story.effects.clear();
  story.happen(CoordinatorStarted{story.now + Scenario::kLease});
  ASSERT_EQ(story.taken<PrepareJob>().size(), 1u);
  EXPECT_EQ(story.taken<PrepareJob>()[0].job.graph, graph);
}

TEST(Graph, IsRefusedWithACycleADoubledNameOrAnUnknownNeed) {
  const auto refusal = [](std::vector<JobBuilder> builders) {
    std::vector<JobRequest> jobs;
    for (JobBuilder& builder : builders) jobs.push_back(builder.request);
    const auto checked = check_graph("graph", jobs);
    return checked ? "" : checked.error().message;
  };
  EXPECT_EQ(refusal({job("x"), job("y").needs({"x"})}), "");
  EXPECT_EQ(refusal({job("x").needs({"y"}), job("y").needs({"x"})}),
            "job x is on a cycle of needs, or behind one");
  EXPECT_EQ(refusal({job("x"), job("x")}), "graph graph has job x twice");
  EXPECT_EQ(refusal({job("x").needs({"gone"})}), "job x needs gone, which is not in the graph");
  EXPECT_NE(refusal({job("../x")}), "");
  EXPECT_NE(refusal({job("x").gang(5'000, 1'000'000)}), "");
}

TEST(Stage, EqualWorkOfTwoGraphsIsDoneOnce) {
  Scenario story;
  story.join("a", 4);
  const GraphId first = story.submit({job("train").work("key")});
  const GraphId second = story.submit({job("train").work("key")});
  EXPECT_EQ(story.why(second, "train"), "waits for 1/train, which does the same work");
  story.happen(
      ArtifactRecorded{story.newest(first, "train").fence, "checkpoint", Artifact{"/store/c", "hash"}});
  story.end_all(first, "train", 0);
  EXPECT_EQ(story.state(second), "succeeded");
  EXPECT_TRUE(story.at(second, "train").is_cached);
  EXPECT_EQ(story.at(second, "train").artifacts.at("checkpoint").path, "/store/c");
  const GraphId third = story.submit({job("train").work("key")});
  EXPECT_EQ(story.state(third), "succeeded");
}

TEST(Stage, IsTakenOverWhenTheOneThatWorkedOnItFails) {
  Scenario story;
  story.join("a", 4);
  const GraphId first = story.submit({job("train").work("key")});
  const GraphId second = story.submit({job("train").work("key")});
  story.end_all(first, "train", 1);
  EXPECT_EQ(story.state(first), "failed");
  EXPECT_EQ(story.state(second, "train"), "running");
}

}  // namespace
}  // namespace paddock::scheduler
