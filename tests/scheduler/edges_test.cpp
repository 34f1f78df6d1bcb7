#include "scheduler/edges.h"

#include "tests/scheduler/scenario.h"

namespace paddock::scheduler {
namespace {

TEST(Edges, OnFailureRunsOnlyWhenTheNeedHasFailed) {
  Scenario story;
  story.join("a", 8);
  const auto jobs = [] {
    return std::vector{job("train"), job("tell").needs({"train"}).on("train", On::kFailure),
                       job("judge").needs({"train"})};
  };
  const GraphId bad = story.submit(jobs());
  EXPECT_EQ(story.why(bad, "tell"), "waits for train to fail (running)");
  story.end_all(bad, "train", 1);
  EXPECT_EQ(story.state(bad, "tell"), "running");
  EXPECT_EQ(story.state(bad, "judge"), "skipped");
  story.end_all(bad, "tell", 0);
  EXPECT_EQ(story.state(bad), "failed");

  const GraphId good = story.submit(jobs());
  story.end_all(good, "train", 0);
  EXPECT_EQ(story.state(good, "tell"), "skipped");
  EXPECT_EQ(story.why(good, "tell"), "needs train to fail, which succeeded");
  story.end_all(good, "judge", 0);
  EXPECT_EQ(story.state(good), "succeeded");
}

TEST(Edges, OneJobAnswersForAFailureAnywhereInTheChainBeforeIt) {
  Scenario story;
  story.join("a", 8);
  const GraphId graph =
      story.submit({job("data"), job("train").needs({"data"}), job("judge").needs({"train"}),
                    job("tell").needs({"judge"}).on("judge", On::kFailure)});
  story.end_all(graph, "data", 1);
  EXPECT_EQ(story.state(graph, "judge"), "skipped");
  EXPECT_EQ(story.state(graph, "tell"), "running");
}

TEST(Edges, AlwaysWaitsForTheEndInWhateverWay) {
  Scenario story;
  story.join("a", 8);
  const GraphId graph =
      story.submit({job("x"), job("y").needs({"x"}),
                    job("clean").needs({"x", "y"}).on("x", On::kAlways).on("y", On::kAlways)});
  EXPECT_EQ(story.why(graph, "clean"), "waits for x to end (running), y to end (waiting)");
  story.end_all(graph, "x", 1);
  EXPECT_EQ(story.state(graph, "clean"), "running");
  story.end_all(graph, "clean", 0);
  EXPECT_EQ(story.state(graph), "failed");
}

TEST(Edges, NothingOfACancelledGraphRunsAnyMore) {
  Scenario story;
  story.join("a", 8);
  const GraphId graph = story.submit(
      {job("x"), job("y").needs({"x"}).on("x", On::kFailure), job("z").needs({"x"}).on("x", On::kAlways)});
  story.cancel(graph);
  story.end_all(graph, "x", 75);
  EXPECT_EQ(story.state(graph, "y"), "cancelled");
  EXPECT_EQ(story.state(graph, "z"), "cancelled");
  EXPECT_EQ(story.state(graph), "cancelled");
}

TEST(Edges, AConditionThatDoesNotHoldIsNoFailure) {
  Scenario story;
  story.prepares_by_itself = false;
  const GraphId graph =
      story.submit({job("x"), job("y").needs({"x"}), job("z").needs({"x"}).on("x", On::kFailure)});
  story.happen(JobSkipped{JobKey{graph, JobName{"x"}}, "its condition does not hold: made ${probe.retrain}"});
  EXPECT_EQ(story.why(graph, "x"), "its condition does not hold: made ${probe.retrain}");
  EXPECT_EQ(story.state(graph, "y"), "skipped");
  EXPECT_EQ(story.why(graph, "z"), "needs x to fail, which was skipped");
  EXPECT_EQ(story.state(graph), "succeeded");
}

TEST(Edges, AnEdgeToWhatIsNotNeededIsRefused) {
  const auto checked = check_graph("graph", {job("x").request, job("y").on("x", On::kAlways).request});
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().message, "job y waits on x, which is not among its needs");
}

TEST(Edges, AWideGraphIsSettledInTheTimeOfItsEdges) {
  Scenario story;
  story.prepares_by_itself = false;
  // Every one of 1,000 jobs is needed by the last: 1,000 edges, each looked at once.
  std::vector<JobBuilder> jobs;
  JobBuilder last = job("last");
  for (int i = 0; i < 1'000; ++i) {
    const std::string name = "part." + std::to_string(i);
    jobs.push_back(job(name.c_str()));
    last.request.needs.emplace_back(name);
  }
  jobs.push_back(std::move(last));
  const GraphId graph = story.submit(jobs);
  EXPECT_EQ(story.at(graph, "last").needs_open, 1'000u);
  story.checks_invariants = false;
  for (int i = 0; i < 1'000; ++i)
    story.happen(JobPrepared{JobKey{graph, JobName{"part." + std::to_string(i)}}, {}, true, {}});
  story.checks_invariants = true;
  story.happen(CoordinatorStarted{story.now + Scenario::kLease});
  EXPECT_EQ(story.state(graph, "last"), "preparing");
}

TEST(TimeLimit, EndsAnAttemptThatTakesLongerAndDoesNotTryAgain) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("x").time_limit(60s).retry(3, 1s), job("y").time_limit(60s)});
  story.pass(30s);
  story.end_all(graph, "y", 0);
  story.effects.clear();
  story.pass(29s);
  EXPECT_TRUE(story.taken<EndAttempt>().empty());
  story.pass(1s);
  ASSERT_EQ(story.taken<EndAttempt>().size(), 1u);
  EXPECT_EQ(story.why(graph, "x"), "is being ended: took longer than its time limit of 1 min");
  story.end_all(graph, "x", 75);
  EXPECT_EQ(story.state(graph, "x"), "failed");
  EXPECT_EQ(name_of(story.newest(graph, "x").outcome), "timed_out");
}

TEST(TimeLimit, EachAttemptHasItAnew) {
  Scenario story;
  story.join("a", 2);
  const GraphId graph = story.submit({job("x").time_limit(60s).retry(3, 1s)});
  story.pass(40s);
  story.end_all(graph, "x", 1);
  story.pass(40s);
  EXPECT_EQ(story.state(graph, "x"), "running");
  EXPECT_FALSE(story.newest(graph, "x").ending);
}

}  // namespace
}  // namespace paddock::scheduler
