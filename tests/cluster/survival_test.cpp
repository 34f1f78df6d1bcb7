// What ranks do and say while one of the daemons is away, stopped or cut off.
#include <signal.h>

#include <fstream>

#include "tests/cluster/real_cluster.h"

namespace paddock::cluster_test {
namespace {

using Survival = RealCluster;

TEST_F(Survival, WhatRanksSayWhileTheCoordinatorIsAwayIsDeliveredOnceAndInOrder) {
  start_coordinator("60s");
  start_worker("a");
  Fifo said(folder / "said");
  Fifo go(folder / "go");
  std::ofstream(folder / "job.sh")
      << "i=0\n"
         "while [ $i -lt 2000 ]; do echo line $i; i=$((i+1)); done\n"
         "echo ready > "
      << said.path.string() << "; read word < " << go.path.string()
      << "\n"
         "while [ $i -lt 4000 ]; do echo line $i; i=$((i+1)); done\n"
         "echo '{\"progress\": {\"step\": 1}}' >&$PADDOCK_REPORT_FD\n"
         "echo '{\"artifact\": {\"name\": \"made\", \"path\": \"/made\", \"hash\": \"h\"}}' "
         ">&$PADDOCK_REPORT_FD\n"
         "echo '{\"progress\": {\"step\": 2}}' >&$PADDOCK_REPORT_FD\n"
         "echo away > "
      << said.path.string() << "; read word < " << go.path.string() << "\n";
  const auto id = submit("graph: away\njobs:\n  job: { kind: command, command: [sh, " +
                         (folder / "job.sh").string() + "] }\n");
  ASSERT_EQ(said.read_line(), "ready");
  kill_now("coordinator");
  go.write_line("go");
  ASSERT_EQ(said.read_line(), "away");
  start_coordinator("60s");
  Json running = job(graph(id), "job");
  while (running.at("progress").is_null()) running = job(graph(id), "job");
  EXPECT_EQ(running.at("progress").at("step"), 2) << "of progress the newest counts";
  go.write_line("end");
  const Json ended = wait_until_ended(id);
  EXPECT_EQ(ended.at("state"), "succeeded") << ended.dump(1);
  const Json done = job(ended, "job");
  EXPECT_EQ(done.at("attempts").size(), 1u);
  ASSERT_EQ(done.at("artifacts").size(), 1u);
  std::string expected;
  for (int i = 0; i < 4'000; ++i) expected += "line " + std::to_string(i) + "\n";
  EXPECT_EQ(paddock({"logs", std::to_string(id), "job"}).out, expected);
}

TEST_F(Survival, AFloodOfOutputWhileTheCoordinatorIsAwayCostsOutputAlone) {
  start_coordinator("60s");
  start_worker("a", {"--log-spool", "1MiB"});
  Fifo said(folder / "said");
  Fifo go(folder / "go");
  const auto id = submit(
      "graph: flood\njobs:\n  job: { kind: command, command: [sh, -c, 'echo the first line; echo ready > " +
      said.path.string() + "; read word < " + go.path.string() +
      "; yes 0123456789abcdef | head -c 64000000; echo flooded > " + said.path.string() + "; read word < " +
      go.path.string() + "; echo the last line'] }\n");
  ASSERT_EQ(said.read_line(), "ready");
  while (paddock({"logs", std::to_string(id), "job"}).out != "the first line\n") {  // it is there
  }
  kill_now("coordinator");
  go.write_line("go");
  ASSERT_EQ(said.read_line(), "flooded");
  wait_for_log("a", "log_dropped");
  start_coordinator("60s");
  go.write_line("end");
  const Json ended = wait_until_ended(id);
  EXPECT_EQ(ended.at("state"), "succeeded") << ended.dump(1);
  EXPECT_EQ(job(ended, "job").at("attempts").size(), 1u);
  std::string text;
  while (text.find("the last line") == std::string::npos)
    text = paddock({"logs", std::to_string(id), "job"}).out;
  EXPECT_EQ(count(text, "the first line\n"), 1u);
  EXPECT_EQ(count(text, "[paddock: "), 1u) << "a note stands where output is missing";
  EXPECT_LT(text.size(), 8'000'000u);
  EXPECT_EQ(text.find('\0'), std::string::npos);
}

TEST_F(Survival, AWorkerStoppedBeyondItsLeaseHasNoRankLeftAndIsUsedAgainWhenItGoesOn) {
  start_coordinator("2s");
  start_worker("a");
  Fifo said(folder / "said");
  Fifo go(folder / "go");
  const auto id = submit("graph: stopped\njobs:\n  job: { kind: command, command: [sh, -c, 'echo $$ > " +
                         said.path.string() + "; read line < " + go.path.string() + "'] }\n");
  const pid_t first = std::stoi(said.read_line());
  signal("a", SIGSTOP);
  start_worker("b");
  said.read_line();  // the second attempt, on b
  EXPECT_NE(kill(first, 0), 0)
      << "the rank of a worker that is stopped must be dead before its lease is given away";
  go.write_line("go");
  const Json ended = wait_until_ended(id);
  EXPECT_EQ(ended.at("state"), "succeeded") << ended.dump(1);
  EXPECT_EQ(job(ended, "job").at("attempts").size(), 2u);
  EXPECT_EQ(job(ended, "job").at("nodes")[0], "b");
  signal("a", SIGCONT);
  ASSERT_EQ(stop("b"), 0);
  const auto next = submit("graph: next\njobs:\n  job: { kind: command, command: [\"true\"] }\n");
  EXPECT_EQ(job(wait_until_ended(next), "job").at("nodes")[0], "a");
}

// Nobody is left to end the rank in time, so it outlives its lease. What it does then counts for nothing.
TEST_F(Survival, OfARankWhoseWorkerAndGuardWereBothStoppedNothingIsTakenAfterItsLease) {
  start_coordinator("2s");
  start_worker("a");
  Fifo said(folder / "said");
  Fifo go_first(folder / "go.1");
  Fifo go_second(folder / "go.2");
  std::ofstream(folder / "job.sh")
      << "echo begins $PADDOCK_ATTEMPT > " << said.path.string() << "; read word < "
      << (folder / "go.").string()
      << "$PADDOCK_ATTEMPT\n"
         "echo '{\"artifact\": {\"name\": \"made\", \"path\": \"/by-'$PADDOCK_ATTEMPT'\", "
         "\"hash\": \"h\"}}' >&$PADDOCK_REPORT_FD\n"
         "echo ends $PADDOCK_ATTEMPT > "
      << said.path.string() << "\n";
  const auto id = submit("graph: undead\njobs:\n  job: { kind: command, command: [sh, " +
                         (folder / "job.sh").string() + "] }\n");
  ASSERT_EQ(said.read_line(), "begins 1");
  signal_guards("a", SIGSTOP);
  signal("a", SIGSTOP);
  start_worker("b");
  ASSERT_EQ(said.read_line(), "begins 2");
  go_first.write_line("go");
  ASSERT_EQ(said.read_line(), "ends 1")
      << "the first rank must have outlived its lease, or nothing is tested";
  signal("a", SIGCONT);
  signal_guards("a", SIGCONT);
  wait_for_log("coordinator", "report_refused", 2);  // the artifact, the end
  EXPECT_EQ(job(graph(id), "job").at("state"), "running");
  go_second.write_line("go");
  ASSERT_EQ(said.read_line(), "ends 2");
  const Json ended = wait_until_ended(id);
  EXPECT_EQ(ended.at("state"), "succeeded") << ended.dump(1);
  const Json done = job(ended, "job");
  ASSERT_EQ(done.at("attempts").size(), 2u);
  EXPECT_EQ(done.at("attempts")[0].at("outcome"), "node_lost");
  ASSERT_EQ(done.at("artifacts").size(), 1u);
  EXPECT_EQ(done.at("artifacts")[0].at("path"), "/by-2") << done.dump(1);
}

}  // namespace
}  // namespace paddock::cluster_test
