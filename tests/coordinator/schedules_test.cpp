// Schedules as an operator has them: a graph file with `schedule:`, a coordinator that comes and goes, a clock.
#include "coordinator/schedules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/limits.h"
#include "tests/coordinator/stepped_coordinator.h"

namespace paddock::coordinator {
namespace {

using scheduler::Schedule;
using std::chrono::hours;
using std::chrono::minutes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// 2026-11-28T01:58:00Z
constexpr WallTime kBegin{1'795'831'080'000};

std::string nightly(const std::string& schedule) {
  return "graph: nightly\nschedule: " + schedule + "\njobs: { a: { kind: command, command: [x] } }";
}

// When its runs were due, by the graphs that there are.
std::vector<std::string> runs_of(const SteppedCoordinator& story) {
  std::vector<std::string> times;
  for (const auto& [id, graph] : story.cluster().graphs) {
    if (graph.schedule == "nightly") times.push_back(scheduler::show_utc(graph.scheduled_for));
  }
  return times;
}

std::string refusal(const wire::Envelope& answer) {
  return answer.message().isRefused() ? to_text(answer.message().getRefused().getMessage()) : "accepted";
}

wire::Envelope steer(SteppedCoordinator& story, const char* what, const char* token = "") {
  return story.ask([&](wire::Message::Builder message) {
    auto request = message.initSteerSchedule();
    request.setName("nightly");
    request.setWhat(what);
    request.setToken(token);
  });
}

TEST(Schedules, ASubmissionRunsAtItsTimesAndSaysTheNext) {
  SteppedCoordinator story(kBegin);
  story.start();
  const auto answer = story.submit(nightly("{cron: 0 2 * * *, tz: Europe/Berlin}"), "t");
  ASSERT_EQ(refusal(answer), "accepted");
  EXPECT_TRUE(answer.message().getSubmitted().getIsSchedule());
  EXPECT_EQ(to_text(answer.message().getSubmitted().getNextRun()), "2026-11-29T02:00+01:00");
  EXPECT_THAT(runs_of(story), ElementsAre());
  story.live(hours(24));
  EXPECT_THAT(runs_of(story), ElementsAre("2026-11-29T01:00:00Z"));
}

TEST(Schedules, TheCoordinatorWakesAtTheTimeAndNotMuchBefore) {
  SteppedCoordinator story(kBegin);
  story.start();
  story.submit(nightly("0 2 * * *"), "t");
  story.pass(minutes(2) - Millis(3));
  story.turn();
  EXPECT_THAT(runs_of(story), ElementsAre());
  EXPECT_EQ(story.coordinator().time_to_wait(), Millis(3));
  story.pass(Millis(3));
  story.turn();
  EXPECT_THAT(runs_of(story), ElementsAre("2026-11-28T02:00:00Z"));
}

TEST(Schedules, ARestartKeepsThemAndMakesUpForWhatWasMissedAsTheySay) {
  const auto runs_after_absence = [](const std::string& missed, bool has_snapshot) {
    SteppedCoordinator story(kBegin);
    story.given.snapshot_events = has_snapshot ? 1 : 100'000;
    story.start();
    story.submit(nightly("{cron: 0 * * * *, overlap: queue, missed: " + missed + "}"), "t");
    story.live(minutes(5));
    EXPECT_THAT(runs_of(story), ElementsAre("2026-11-28T02:00:00Z"));
    story.ask([](wire::Message::Builder message) {
      auto cancel = message.initCancel();
      cancel.setGraph(1);
    });
    story.die();
    story.pass(hours(3));
    story.start();
    std::vector<std::string> times = runs_of(story);
    const Schedule& schedule = story.cluster().schedules.at("nightly");
    for (const auto& waiting : schedule.waiting) times.push_back(scheduler::show_utc(waiting.time));
    EXPECT_EQ(schedule.runs + schedule.waiting.size() + schedule.passed_over, 4u)
        << "each time is told of once";
    return times;
  };
  for (const bool has_snapshot : {false, true}) {
    EXPECT_THAT(runs_after_absence("skip", has_snapshot), ElementsAre("2026-11-28T02:00:00Z"));
    EXPECT_THAT(runs_after_absence("latest", has_snapshot),
                ElementsAre("2026-11-28T02:00:00Z", "2026-11-28T05:00:00Z"));
    EXPECT_THAT(runs_after_absence("all", has_snapshot),
                ElementsAre("2026-11-28T02:00:00Z", "2026-11-28T03:00:00Z", "2026-11-28T04:00:00Z",
                            "2026-11-28T05:00:00Z"));
  }
}

TEST(Schedules, OneThatComesOnceAYearIsMadeUpForHoweverLongNobodyWasThere) {
  const auto runs_after_absence = [](const char* missed) {
    SteppedCoordinator story(kBegin);
    story.start();
    story.submit(nightly(std::string("{cron: 0 0 1 1 *, missed: ") + missed + "}"), "t");
    story.die();
    story.pass(hours(24 * 80));  // the first of January was 46 days ago
    story.start();
    EXPECT_EQ(story.cluster().schedules.at("nightly").passed_over, std::string(missed) == "skip" ? 1u : 0u);
    return runs_of(story);
  };
  EXPECT_THAT(runs_after_absence("latest"), ElementsAre("2027-01-01T00:00:00Z"));
  EXPECT_THAT(runs_after_absence("all"), ElementsAre("2027-01-01T00:00:00Z"));
  EXPECT_THAT(runs_after_absence("skip"), ElementsAre());
}

TEST(Schedules, ManyThatAreDueAtOnceAreSettledTurnByTurn) {
  constexpr std::size_t kMany = 2 * kSchedulesPerTurnMax + 50;
  SteppedCoordinator story(kBegin);
  story.start();
  for (std::size_t i = 0; i < kMany; ++i) {
    const std::string name = "n" + std::to_string(i);
    story.submit("graph: " + name + "\nschedule: 0 2 * * *\njobs: { a: { kind: command, command: [x] } }",
                 name);
  }
  story.pass(minutes(2));
  for (const std::size_t there : {kSchedulesPerTurnMax, 2 * kSchedulesPerTurnMax, kMany}) {
    EXPECT_EQ(story.coordinator().time_to_wait(), Millis(0));
    story.turn();
    EXPECT_EQ(story.cluster().graphs.size(), there);
  }
  story.turn();
  EXPECT_EQ(story.cluster().graphs.size(), kMany) << "each runs once";
}

TEST(Schedules, HoweverOftenTheCoordinatorDiesATimeIsRunOnce) {
  SteppedCoordinator story(kBegin);
  story.start();
  story.submit(nightly("0 2 * * *"), "t");
  story.die();
  story.pass(minutes(2));
  for (int i = 0; i < 5; ++i) {
    story.start();
    EXPECT_THAT(runs_of(story), ElementsAre("2026-11-28T02:00:00Z"));
    story.die();
  }
  story.set_wall(kBegin);  // and if the clock is set back, too
  story.start();
  story.live(minutes(10));
  EXPECT_THAT(runs_of(story), ElementsAre("2026-11-28T02:00:00Z"));
}

TEST(Schedules, AClockThatJumpsAheadFindsWhatItPassed) {
  SteppedCoordinator story(kBegin);
  story.start();
  story.submit(nightly("{cron: 0 2 * * *, missed: skip}"), "t");
  story.set_wall(WallTime{kBegin.unix_ms + Millis(hours(1)).count()});
  story.turn();
  EXPECT_THAT(runs_of(story), ElementsAre());
  EXPECT_EQ(
      story.cluster().schedules.at("nightly").history.back().note,
      "no coordinator began it then (none ran, its disk was full, or its clock jumped), and `missed: skip` "
      "makes up for none; `paddock schedule run-now nightly` runs it now");
}

TEST(Schedules, OnAFullDiskTheyWaitAsSubmissionsDo) {
  SteppedCoordinator story(kBegin);
  story.start();
  story.submit(nightly("0 2 * * *"), "t");
  story.has_room = false;
  story.pass(minutes(2));
  story.turn();
  EXPECT_THAT(runs_of(story), ElementsAre());
  EXPECT_GT(story.coordinator().time_to_wait(), Millis(1'000)) << "and does not spin";
  story.has_room = true;
  story.turn();
  EXPECT_THAT(runs_of(story), ElementsAre("2026-11-28T02:00:00Z"));
}

TEST(Schedules, TheSameNameAgainChangesIt) {
  SteppedCoordinator story(kBegin);
  story.start();
  story.submit(nightly("0 2 * * *"), "t");
  story.submit(nightly("0 3 * * *"), "u");
  EXPECT_EQ(story.cluster().schedules.size(), 1u);
  story.live(minutes(10));
  EXPECT_THAT(runs_of(story), ElementsAre());
  story.live(hours(1));
  EXPECT_THAT(runs_of(story), ElementsAre("2026-11-28T03:00:00Z"));
  // Sent again, as a client does that heard no answer: nothing changes.
  const auto again = story.submit(nightly("0 3 * * *"), "u");
  EXPECT_EQ(to_text(again.message().getSubmitted().getNextRun()), "2026-11-29T03:00+00:00");
}

TEST(Schedules, PauseResumeRemoveAndRunNow) {
  SteppedCoordinator story(kBegin);
  story.start();
  story.submit(nightly("0 * * * *"), "t");
  EXPECT_TRUE(steer(story, "pause").message().isDone());
  story.live(hours(2));
  EXPECT_THAT(runs_of(story), ElementsAre());
  EXPECT_EQ(steer(story, "runNow", "now").message().getSubmitted().getGraph(), 1u);
  EXPECT_EQ(steer(story, "runNow", "now").message().getSubmitted().getGraph(), 1u) << "the same, asked again";
  EXPECT_THAT(refusal(steer(story, "runNow", "more")), HasSubstr("the run before, graph 1, still goes"));
  EXPECT_THAT(refusal(steer(story, "runNow", "nightly@2026-11-28T04:00:00Z")), HasSubstr("a token with @"));
  EXPECT_THAT(refusal(steer(story, "stop")), HasSubstr("pause, resume, remove and runNow, not stop"));
  EXPECT_TRUE(steer(story, "resume").message().isDone());
  story.ask([](wire::Message::Builder message) { message.initCancel().setGraph(1); });
  story.live(hours(1));
  EXPECT_THAT(runs_of(story), testing::SizeIs(2));
  EXPECT_TRUE(steer(story, "remove").message().isDone());
  story.live(hours(2));
  EXPECT_THAT(runs_of(story), testing::SizeIs(2));
  EXPECT_THAT(refusal(steer(story, "pause")), HasSubstr("there is no schedule nightly"));
}

TEST(Schedules, AreListedWithWhatBecameOfThem) {
  SteppedCoordinator story(kBegin);
  story.start();
  story.submit(nightly("{cron: 0 * * * *, deadline: 30m}"), "t");
  story.live(hours(2));
  const auto answer =
      story.ask([](wire::Message::Builder message) { message.setSchedulesRequest("nightly"); });
  ASSERT_EQ(refusal(answer), "accepted");
  const auto schedule = answer.message().getSchedules()[0];
  EXPECT_EQ(schedule.getDeadlineMs(), 1'800'000u);
  EXPECT_EQ(schedule.getRuns(), 1u);
  EXPECT_EQ(schedule.getPassedOver(), 1u);
  EXPECT_EQ(scheduler::show_utc(WallTime{schedule.getNextUnixMs()}), "2026-11-28T04:00:00Z");
  ASSERT_EQ(schedule.getHistory().size(), 2u);
  EXPECT_EQ(schedule.getHistory()[0].getGraph(), 1u);
  EXPECT_EQ(to_text(schedule.getHistory()[1].getNote()), "the run before, graph 1, still goes");
  const auto none = story.ask([](wire::Message::Builder message) { message.setSchedulesRequest("other"); });
  EXPECT_THAT(refusal(none), HasSubstr("`paddock schedules` lists them"));
}

TEST(Schedules, BelongToATenant) {
  SteppedCoordinator story(kBegin);
  story.start();
  const auto be = [&](const char* tenant) {
    story.requester = Requester{{wire::Role::kSubmitter, tenant, "key", tenant, ""}, false};
  };
  be("ada");
  EXPECT_EQ(refusal(story.submit(nightly("0 2 * * *"), "t")), "accepted");
  be("bob");
  EXPECT_THAT(refusal(story.submit(nightly("0 3 * * *"), "u")), HasSubstr("belongs to tenant ada"));
  EXPECT_THAT(refusal(steer(story, "remove")), HasSubstr("belongs to another tenant"));
  const auto seen = story.ask([](wire::Message::Builder message) { message.setSchedulesRequest(""); });
  EXPECT_EQ(seen.message().getSchedules().size(), 0u);
  be("ada");
  EXPECT_TRUE(steer(story, "pause").message().isDone());
}

TEST(Schedules, AMonthOfMissedMinutesIsLookedThroughInAMoment) {
  scheduler::Cluster cluster;
  Schedule& schedule = cluster.schedules["s"];
  schedule.name = "s";
  schedule.rule = {"* * * * *", "Europe/Berlin", scheduler::Missed::kAll, scheduler::Overlap::kQueue,
                   Millis(0)};
  schedule.settled_until = WallTime{kBegin.unix_ms - Millis(hours(24 * 400)).count()};
  Log log;
  log.quiet();
  Schedules schedules(cluster, log);
  schedules.refresh();
  const auto due = schedules.due(kBegin);
  ASSERT_EQ(due.size(), 1u);
  const auto& event = std::get<scheduler::ScheduleDue>(due.front());
  EXPECT_EQ(event.run.size(), limits::kMissedRunsMax);
  EXPECT_EQ(event.passed_over + event.run.size(), 31u * 24 * 60);
  EXPECT_EQ(event.until, kBegin);
}

TEST(Schedules, OneWhoseTimesAreNotUnderstoodAnyMoreSaysSoAndHarmsNobody) {
  scheduler::Cluster cluster;
  for (const char* const name : {"bad", "good"}) {
    cluster.schedules[name].name = name;
    cluster.schedules[name].rule.cron = "0 2 * * *";
    cluster.schedules[name].rule.zone = std::string(name) == "good" ? "UTC" : "Mars/Olympus";
    cluster.schedules[name].settled_until = kBegin;
  }
  Log log;
  log.quiet();
  Schedules schedules(cluster, log);
  schedules.refresh();
  EXPECT_EQ(schedules.due(WallTime{kBegin.unix_ms + Millis(hours(1)).count()}).size(), 1u);
  EXPECT_THAT(schedules.obstacle(cluster.schedules["bad"]), HasSubstr("`Mars/Olympus` is no time zone"));
}

}  // namespace
}  // namespace paddock::coordinator
