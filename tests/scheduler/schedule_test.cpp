// Graphs that run by themselves: what of what comes due is run, and what is said of the rest.
#include "scheduler/schedule.h"

#include "tests/scheduler/scenario.h"

namespace paddock::scheduler {
namespace {

constexpr std::int64_t kMinute = 60'000;

class ScheduleStory : public Scenario {
 public:
  ScheduleStory() { join("a", 4); }

  WallTime wall() const { return WallTime{1'000'000 + now.ms}; }
  void set(Overlap overlap, Millis deadline = Millis(0), const std::string& tenant = kTenantDefault) {
    GraphSubmitted graph{"nightly", 0, "set-" + std::to_string(++sets_), {job("j").request}, tenant};
    happen(ScheduleSet{graph, {"* * * * *", "UTC", Missed::kAll, overlap, deadline}});
  }
  // A minute later its time comes, if nothing is late.
  void come_due() {
    pass(Millis(kMinute));
    const Schedule& schedule = nightly();
    happen(settle(schedule, {wall()}, wall()));
  }
  const Schedule& nightly() const { return cluster.schedules.at("nightly"); }
  GraphId newest_graph() const { return GraphId{cluster.next_graph - 1}; }
  std::uint64_t graphs() const { return cluster.next_graph - 1; }
  void end_newest() { end_all(newest_graph(), "j", 0); }
  std::string last_note() const { return nightly().history.back().note; }

 private:
  int sets_ = 0;
};

TEST(Schedule, EachTimeIsAGraphOfItsOwnAndItsEndIsRemembered) {
  ScheduleStory story;
  story.set(Overlap::kSkip);
  EXPECT_EQ(story.graphs(), 0u) << "nothing runs at once";
  story.come_due();
  ASSERT_EQ(story.graphs(), 1u);
  const Graph& graph = story.cluster.graphs.at(GraphId{1});
  EXPECT_EQ(graph.name, "nightly");
  EXPECT_EQ(graph.schedule, "nightly");
  EXPECT_EQ(graph.scheduled_for, story.wall());
  EXPECT_EQ(story.cluster.tokens.count(token_of_run("nightly", story.wall())), 1u);
  EXPECT_EQ(story.nightly().going, std::set{GraphId{1}});
  story.end_newest();
  EXPECT_TRUE(story.nightly().going.empty());
  EXPECT_EQ(story.last_note(), "succeeded");
  story.come_due();
  EXPECT_EQ(story.graphs(), 2u);
  EXPECT_EQ(story.nightly().runs, 2u);
}

TEST(Schedule, WhatIsSettledNeverBecomesDueAgain) {
  ScheduleStory story;
  story.set(Overlap::kQueue);
  story.pass(Millis(3 * kMinute));
  const ScheduleDue due = settle(story.nightly(), {WallTime{story.wall().unix_ms - 10}}, story.wall());
  story.happen(due);
  story.happen(due);
  story.end_newest();
  story.happen(due);
  EXPECT_EQ(story.graphs(), 1u);
}

TEST(Schedule, MissedTimesAreSkippedMadeUpForOnceOrAll) {
  Schedule schedule;
  schedule.name = "s";
  const auto minute = [](std::int64_t number) { return WallTime{number * kMinute}; };
  std::vector<WallTime> times;
  for (std::int64_t i = 1; i <= 5; ++i) times.push_back(minute(i));
  const auto decide = [&](Missed missed, WallTime now) {
    schedule.rule.missed = missed;
    return settle(schedule, times, now);
  };
  const WallTime long_after = minute(60);
  EXPECT_TRUE(decide(Missed::kSkip, long_after).run.empty());
  EXPECT_EQ(decide(Missed::kSkip, long_after).passed_over, 5u);
  EXPECT_EQ(decide(Missed::kLatest, long_after).run, std::vector{minute(5)});
  EXPECT_EQ(decide(Missed::kLatest, long_after).newest_passed_over, minute(4));
  EXPECT_EQ(decide(Missed::kAll, long_after).run, times);
  // The newest is not late: a minute is forgiven.
  const WallTime just_after = WallTime{minute(6).unix_ms};
  EXPECT_EQ(decide(Missed::kSkip, just_after).run, std::vector{minute(5)});
  EXPECT_EQ(decide(Missed::kLatest, just_after).run, std::vector{minute(5)});
  // All, but not more than is healthy.
  for (std::int64_t i = 6; i <= 40; ++i) times.push_back(minute(i));
  const ScheduleDue bounded = decide(Missed::kAll, long_after);
  EXPECT_EQ(bounded.run.size(), limits::kMissedRunsMax);
  EXPECT_EQ(bounded.run.back(), minute(40));
  EXPECT_EQ(bounded.passed_over, 40 - limits::kMissedRunsMax);
  // And none that would begin after its deadline.
  schedule.rule.deadline = Millis(22 * kMinute);
  EXPECT_EQ(decide(Missed::kAll, long_after).run.front(), minute(38));
  EXPECT_EQ(decide(Missed::kSkip, minute(41)).run, std::vector{minute(40)});
}

TEST(Schedule, ARunThatIsSkippedSaysBehindWhich) {
  ScheduleStory story;
  story.set(Overlap::kSkip);
  for (int i = 0; i < 3; ++i) story.come_due();
  EXPECT_EQ(story.graphs(), 1u);
  EXPECT_EQ(story.last_note(), "the run before, graph 1, still goes");
  EXPECT_EQ(story.nightly().history.back().times, 2u) << "told once";
  EXPECT_EQ(story.nightly().passed_over, 2u);
  story.end_newest();
  story.come_due();
  EXPECT_EQ(story.graphs(), 2u);
}

TEST(Schedule, QueuedRunsGoOneAfterTheOther) {
  ScheduleStory story;
  story.set(Overlap::kQueue);
  for (int i = 0; i < 3; ++i) story.come_due();
  EXPECT_EQ(story.graphs(), 1u);
  ASSERT_EQ(story.nightly().waiting.size(), 2u);
  const WallTime second = story.nightly().waiting.front().time;
  story.end_newest();
  EXPECT_EQ(story.graphs(), 2u);
  EXPECT_EQ(story.cluster.graphs.at(GraphId{2}).scheduled_for, second);
  story.end_newest();
  story.end_newest();
  EXPECT_EQ(story.graphs(), 3u);
  EXPECT_EQ(story.nightly().runs, 3u);
  EXPECT_TRUE(story.nightly().waiting.empty());
}

TEST(Schedule, TheQueueIsBounded) {
  ScheduleStory story;
  story.set(Overlap::kQueue);
  for (std::size_t i = 0; i < limits::kWaitingRunsMax + 3; ++i) story.come_due();
  EXPECT_EQ(story.nightly().waiting.size(), limits::kWaitingRunsMax);
  EXPECT_EQ(story.nightly().passed_over, 2u);
  EXPECT_EQ(story.last_note(), "24 runs wait for the one before already");
}

TEST(Schedule, AQueuedRunThatComesTooLateIsNotRun) {
  ScheduleStory story;
  story.set(Overlap::kQueue, Millis(90'000));
  for (int i = 0; i < 3; ++i) story.come_due();
  story.pass(Millis(40'000));  // the second is 100 s late now, the third 40 s
  story.end_newest();
  EXPECT_EQ(story.graphs(), 2u);
  EXPECT_EQ(story.nightly().passed_over, 1u);
  EXPECT_EQ(story.nightly().history[1].note, "it waited for the run before, and could not begin within 90 s");
}

TEST(Schedule, TheNextRunTakesThePlaceOfTheOneBefore) {
  ScheduleStory story;
  story.set(Overlap::kReplace);
  story.come_due();
  story.start(GraphId{1}, "j");
  story.come_due();
  EXPECT_EQ(story.graphs(), 1u) << "it saves itself first: the two never run at once";
  EXPECT_TRUE(story.cluster.graphs.at(GraphId{1}).cancelled);
  story.come_due();
  ASSERT_EQ(story.nightly().waiting.size(), 1u) << "only the newest waits";
  EXPECT_EQ(story.nightly().waiting.front().time, story.wall());
  story.end(GraphId{1}, "j", 0, 75);
  EXPECT_EQ(story.graphs(), 2u);
  EXPECT_EQ(story.state(GraphId{1}), "cancelled");
  EXPECT_EQ(story.nightly().history.front().note, "cancelled");
  EXPECT_EQ(story.nightly().passed_over, 1u);
}

TEST(Schedule, WhatWaitsToRunIsReplacedAtOnce) {
  ScheduleStory story;
  story.set(Overlap::kReplace);
  story.happen(NodeDrained{NodeId{"a"}, "x", Instant{}});
  story.come_due();
  story.come_due();
  EXPECT_EQ(story.graphs(), 2u) << "nothing of the first had started";
  EXPECT_EQ(story.state(GraphId{1}), "cancelled");
  EXPECT_EQ(story.nightly().going, std::set{GraphId{2}});
}

TEST(Schedule, APausedOneStartsNothingAndGoesOnWithTheNextTime) {
  ScheduleStory story;
  story.set(Overlap::kQueue);
  story.come_due();
  story.come_due();
  story.happen(ScheduleSteered{"nightly", Steer::kPause});
  story.end_newest();
  EXPECT_EQ(story.graphs(), 1u) << "what waits waits on";
  story.pass(Millis(5 * kMinute));
  const WallTime before = story.wall();
  story.happen(ScheduleSteered{"nightly", Steer::kResume});
  EXPECT_EQ(story.graphs(), 2u);
  EXPECT_EQ(story.nightly().settled_until, before) << "what passed meanwhile is not made up for";
}

TEST(Schedule, APausedOneCancelsNothingForARunThatCannotBegin) {
  ScheduleStory story;
  story.set(Overlap::kReplace);
  story.come_due();
  const GraphId going = story.newest_graph();
  story.happen(ScheduleSteered{"nightly", Steer::kPause});
  story.happen(ScheduleRunAsked{"nightly", "now"});
  EXPECT_EQ(story.state(going), "active");
  story.happen(ScheduleSteered{"nightly", Steer::kResume});
  ASSERT_TRUE(story.newest(going, "j").ending);
  EXPECT_EQ(story.newest(going, "j").ending->outcome, Outcome::kCancelled);
  story.end_all(going, "j", 75);
  EXPECT_EQ(story.graphs(), 2u);
  EXPECT_EQ(story.state(story.newest_graph(), "j"), "running");
}

TEST(Schedule, AnotherTenantsRunOfTheSameNameIsLeftAlone) {
  ScheduleStory story;
  story.set(Overlap::kReplace, Millis(0), "vision");
  story.come_due();
  const GraphId of_vision = story.newest_graph();
  story.happen(ScheduleSteered{"nightly", Steer::kRemove});
  story.set(Overlap::kReplace, Millis(0), "speech");
  EXPECT_TRUE(story.nightly().going.empty());
  story.come_due();
  EXPECT_EQ(story.state(of_vision, "j"), "running");
}

TEST(Schedule, RunNowIsOneRunHoweverOftenItIsAskedFor) {
  ScheduleStory story;
  story.set(Overlap::kQueue);
  story.happen(ScheduleSteered{"nightly", Steer::kPause});
  story.happen(ScheduleRunAsked{"nightly", "t1"});
  story.happen(ScheduleRunAsked{"nightly", "t1"});
  EXPECT_EQ(story.graphs(), 1u) << "also while it is paused";
  story.happen(ScheduleRunAsked{"nightly", "t2"});
  story.happen(ScheduleRunAsked{"nightly", "t2"});
  EXPECT_EQ(story.nightly().waiting.size(), 1u);
  EXPECT_EQ(story.nightly().settled_until, WallTime{1'000'000 + 1'000}) << "its times come as before";
}

TEST(Schedule, AChangedOneKeepsItsHistoryAndAnotherTenantsIsLeftAlone) {
  ScheduleStory story;
  story.set(Overlap::kSkip);
  story.come_due();
  story.set(Overlap::kQueue);
  EXPECT_EQ(story.nightly().rule.overlap, Overlap::kQueue);
  EXPECT_EQ(story.nightly().history.size(), 1u);
  EXPECT_EQ(story.nightly().going.size(), 1u);
  story.set(Overlap::kReplace, Millis(0), "other");
  EXPECT_EQ(story.nightly().rule.overlap, Overlap::kQueue);
  EXPECT_EQ(story.nightly().tenant, kTenantDefault);
}

TEST(Schedule, OneThatWasRemovedAndMadeAgainKnowsWhatStillGoes) {
  ScheduleStory story;
  story.set(Overlap::kSkip);
  story.come_due();
  story.happen(ScheduleSteered{"nightly", Steer::kRemove});
  EXPECT_TRUE(story.cluster.schedules.empty());
  EXPECT_EQ(story.state(GraphId{1}), "active");
  story.set(Overlap::kSkip);
  EXPECT_EQ(story.nightly().going, std::set{GraphId{1}});
  story.come_due();
  EXPECT_EQ(story.graphs(), 1u);
  story.end_newest();
  story.come_due();
  EXPECT_EQ(story.graphs(), 2u);
}

TEST(Schedule, TimesAreShownAndKeyedInUtc) {
  EXPECT_EQ(show_utc(WallTime{1'764'295'200'999}), "2025-11-28T02:00:00Z");
  EXPECT_EQ(token_of_run("nightly", WallTime{0}), "nightly@1970-01-01T00:00:00Z");
}

}  // namespace
}  // namespace paddock::scheduler
