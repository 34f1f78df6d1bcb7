// Workloads: the format, the model they are drawn by, and schedules that were worked out by hand.
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "base/random.h"
#include "simulation/workload/figures.h"
#include "simulation/workload/lublin.h"
#include "simulation/workload/policies.h"
#include "simulation/workload/swf.h"

namespace paddock::simulation {
namespace {

using Starts = std::vector<std::int64_t>;

TraceJob job(std::int64_t submit_s, std::int64_t processors, std::int64_t run_s,
             std::int64_t estimate_s = 0) {
  return {0, submit_s, run_s, std::max(run_s, estimate_s), processors, -1};
}
Workload of(std::vector<TraceJob> jobs) {
  Workload workload;
  workload.jobs = std::move(jobs);
  return workload;
}

// Four processors. The second needs all and must wait for the first; the third fits in the gap and is over by then, the
// fourth is not.
const std::vector<TraceJob> kGap{job(0, 2, 10), job(1, 4, 10), job(2, 2, 5), job(3, 2, 20)};

TEST(Fifo, NobodyOvertakes) {
  EXPECT_EQ(schedule_fifo(of(kGap), {4, 1}).starts_s, (Starts{0, 10, 20, 20}));
}

TEST(Easy, WhoIsOverInTimeOvertakes) {
  const Schedule schedule = schedule_easy(of(kGap), {4, 1});
  EXPECT_EQ(schedule.starts_s, (Starts{0, 10, 2, 20}));
  EXPECT_EQ(schedule.promised_s[1], 10);
}

TEST(Paddock, FillsTheSameGap) {
  EXPECT_EQ(schedule_paddock(of(kGap), {4, 1}).starts_s, (Starts{0, 10, 2, 20}));
}

// Five processors: the second is promised four of them at 10, so one is to spare, for the third; the fourth has none.
TEST(Easy, WhoTakesWhatIsToSpareOvertakesHoweverLongItRuns) {
  const Workload workload = of({job(0, 3, 10), job(1, 4, 10), job(2, 1, 100), job(3, 1, 100)});
  EXPECT_EQ(schedule_fifo(workload, {5, 1}).starts_s, (Starts{0, 10, 10, 20}));
  EXPECT_EQ(schedule_easy(workload, {5, 1}).starts_s, (Starts{0, 10, 2, 20}));
}

// What was asked for makes the promise; what really ran keeps it early. The third asked for too long to overtake.
TEST(Easy, AnEarlyEndStartsTheHeadEarly) {
  const Workload workload = of({job(0, 3, 4, 10), job(1, 4, 10), job(2, 1, 2, 9)});
  const Schedule schedule = schedule_easy(workload, {4, 1});
  EXPECT_EQ(schedule.starts_s, (Starts{0, 4, 14}));
  EXPECT_EQ(schedule.promised_s[1], 10);
}

// Two nodes of four cores: six processors are three on each node, so a job of two does not fit beside it, two of one do.
TEST(Fifo, AGangHasAsManyCoresOnEachNode) {
  const Workload workload = of({job(0, 6, 10), job(0, 2, 10), job(0, 1, 10)});
  EXPECT_EQ(schedule_fifo(workload, {2, 4}).starts_s, (Starts{0, 10, 10}));
  EXPECT_EQ(schedule_easy(workload, {2, 4}).starts_s, (Starts{0, 10, 0}));
}

Workload draw_small(std::uint64_t seed, const Machines& machines) {
  Draws draws(seed, 0, Purpose::kSimulation, 2);
  Workload workload;
  std::int64_t at = 0;
  for (int i = 0; i < 200; ++i) {
    at += static_cast<std::int64_t>(draws.below(60));
    const auto most = static_cast<std::uint64_t>(machines.nodes * machines.cores);
    const auto run = static_cast<std::int64_t>(1 + draws.below(300));
    workload.jobs.push_back(job(at, static_cast<std::int64_t>(1 + draws.below(draws.below(most) + 1)), run,
                                run * static_cast<std::int64_t>(1 + draws.below(4))));
    if (!fits(workload.jobs.back(), machines)) workload.jobs.pop_back();
  }
  return workload;
}

// Busy cores on no node above what it has would need the nodes; over all of them it must hold as well.
void expect_room(const Workload& workload, const Machines& machines, const Schedule& schedule) {
  std::map<std::int64_t, std::int64_t> change;
  for (std::size_t i = 0; i < workload.jobs.size(); ++i) {
    ASSERT_GE(schedule.starts_s[i], workload.jobs[i].submit_s);
    const Gang gang = gang_of(workload.jobs[i], machines);
    change[schedule.starts_s[i]] += gang.nodes * gang.cores;
    change[schedule.starts_s[i] + workload.jobs[i].run_s] -= gang.nodes * gang.cores;
  }
  std::int64_t busy = 0;
  for (const auto& [at, by] : change) {
    busy += by;
    EXPECT_LE(busy, machines.nodes * machines.cores) << "at " << at;
  }
}

TEST(Easy, NeverBreaksThePromiseToTheHead) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Machines machines{8, static_cast<std::int64_t>(1 + seed % 4)};
    const Workload workload = draw_small(seed, machines);
    const Schedule schedule = schedule_easy(workload, machines);
    expect_room(workload, machines, schedule);
    int promised = 0;
    for (std::size_t i = 0; i < workload.jobs.size(); ++i) {
      if (schedule.promised_s[i] < 0) continue;
      ++promised;
      EXPECT_LE(schedule.starts_s[i], schedule.promised_s[i]) << "seed " << seed << ", job " << i;
    }
    EXPECT_GT(promised, 0) << "seed " << seed;
    expect_room(workload, machines, schedule_fifo(workload, machines));
    expect_room(workload, machines, schedule_paddock(workload, machines));
  }
}

TEST(Swf, ReadsWhatItNeedsAndSaysWhatItLeavesOut) {
  std::istringstream in(
      "; MaxNodes: 16\n;MaxProcs: 64\n\n"
      "1 0 5 100 4 -1 -1 4 200 -1 1 7 1 1 1 1 -1 -1\n"
      "2 9 5 100 4 99.5 -1 -1 -1 -1 0 7 1 1 1 1 -1 -1\n"   // failed; asked for nothing
      "3 3 5 100 8 -1 -1 8 50 -1 -1 -1 1 1 1 1 -1 -1\n"    // longer than asked for
      "4 4 5 -1 4 -1 -1 4 200 -1 5 7 1 1 1 1 -1 -1\n"      // cancelled before it started
      "5 4 5 30 4 -1 -1 4 200 -1 5 7 1 1 1 1 -1 -1\n"      // cancelled while it ran
      "6 4 5 30 4 -1 -1 4 200 -1 3 7 1 1 1 1 -1 -1\n"      // a piece
      "7 4 5 -1 4 -1 -1 4 200 -1 1 7 1 1 1 1 -1 -1\n"      // no run time
      "8 4 5 10 -1 -1 -1 -1 200 -1 1 7 1 1 1 1 -1 -1\n");  // no size
  const auto workload = read_swf(in, "w.swf");
  ASSERT_TRUE(workload) << workload.error().message;
  EXPECT_EQ(workload->max_nodes, 16);
  EXPECT_EQ(workload->max_processors, 64);
  ASSERT_EQ(workload->jobs.size(), 4u);
  EXPECT_EQ(workload->jobs[1].number, 3) << "by submit time";
  EXPECT_EQ(workload->jobs[1].estimate_s, 100);
  EXPECT_EQ(workload->jobs[3].estimate_s, 100) << "what it ran, since it asked for nothing";
  EXPECT_EQ(workload->jobs[0].estimate_s, 200);
  EXPECT_EQ(workload->skipped, (Skipped{1, 1, 1, 1}));
  EXPECT_EQ(workload->failed, 1u);
  EXPECT_EQ(workload->longer_than_asked, 1u);
}

TEST(Swf, ABadLineIsNamedWithWhatIsWrong) {
  const auto error_of = [](const std::string& text) {
    std::istringstream in(text);
    const auto workload = read_swf(in, "w.swf");
    return workload ? "" : workload.error().message;
  };
  EXPECT_EQ(error_of("; x\n1 0 5 100\n"),
            "w.swf:2: has 4 fields, but a job of the Standard Workload Format has 18");
  EXPECT_EQ(error_of("1 0 5 soon 4 -1 -1 4 200 -1 1 7 1 1 1 1 -1 -1\n"),
            "w.swf:1: field 4 (run time) is \"soon\", which is not a number; write -1 for what is not known");
  EXPECT_EQ(error_of("1 -7 5 100 4 -1 -1 4 200 -1 1 7 1 1 1 1 -1 -1\n"),
            "w.swf:1: submit time is -7, but a job must come at 0 or later");
  EXPECT_EQ(error_of("1 0 5 100 4 -1 -1 4 200 -1 9 7 1 1 1 1 -1 -1\n"),
            "w.swf:1: status is 9, not one of -1 to 5");
  EXPECT_NE(error_of("1 0 5 1e99 4 -1 -1 4 200 -1 1 7 1 1 1 1 -1 -1\n"), "");
}

TEST(Swf, WhatIsWrittenIsReadAgain) {
  const Machines machines{64, 4};
  const Workload drawn = draw_lublin(500, 3, machines, 0.7);
  std::stringstream file;
  write_swf(file, drawn, machines, "drawn");
  const auto read = read_swf(file, "w.swf");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->max_nodes, 64);
  EXPECT_EQ(read->max_processors, 256);
  EXPECT_EQ(schedule_easy(*read, machines).starts_s, schedule_easy(drawn, machines).starts_s);
}

TEST(Lublin, ASeedHasOneWorkloadOfTheModelsProportions) {
  const Machines machines{1'024, 2};
  const Workload one = draw_lublin(20'000, 5, machines, 0.6);
  const Workload again = draw_lublin(20'000, 5, machines, 0.6);
  ASSERT_EQ(one.jobs.size(), 20'000u);
  double serial = 0;
  double powers = 0;
  double work = 0;
  for (std::size_t i = 0; i < one.jobs.size(); ++i) {
    const TraceJob& each = one.jobs[i];
    EXPECT_EQ(each.submit_s, again.jobs[i].submit_s);
    EXPECT_EQ(each.run_s, again.jobs[i].run_s);
    serial += each.processors == 1 ? 1 : 0;
    powers += each.processors > 1 && (each.processors & (each.processors - 1)) == 0 ? 1 : 0;
    work += static_cast<double>(each.processors * each.run_s);
    EXPECT_LE(each.processors, 1'024);
    EXPECT_GE(each.estimate_s, each.run_s);
  }
  EXPECT_NEAR(serial / 20'000, 0.244, 0.02);
  EXPECT_GT(powers / 20'000, 0.576 - 0.02);
  EXPECT_NEAR(work / (static_cast<double>(one.jobs.back().submit_s) * 2'048), 0.6, 0.1);
  EXPECT_NE(draw_lublin(10, 6, machines, 0.6).jobs[0].run_s, one.jobs[0].run_s);
}

TEST(Figures, AreThoseOfAScheduleWorkedOutByHand) {
  const Workload workload = of(kGap);
  const Figures figures = figures_of(workload, {4, 1}, schedule_fifo(workload, {4, 1}));
  EXPECT_DOUBLE_EQ(figures.makespan_s, 40);
  EXPECT_DOUBLE_EQ(figures.utilisation, (2 * 10 + 4 * 10 + 2 * 5 + 2 * 20) / 160.0);
  EXPECT_DOUBLE_EQ(figures.wait_s.mean, (0 + 9 + 18 + 17) / 4.0);
  EXPECT_DOUBLE_EQ(figures.wait_s.p50, 9);
  EXPECT_DOUBLE_EQ(figures.wait_s.max, 18);
  // 1, 19/10, 23/10 since 5 s count as 10, 37/20.
  EXPECT_DOUBLE_EQ(figures.slowdown.mean, (1 + 1.9 + 2.3 + 1.85) / 4);
}

}  // namespace
}  // namespace paddock::simulation
