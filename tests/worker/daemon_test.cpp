#include "worker/daemon.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <fstream>
#include <sstream>

#include "tests/worker/cluster_of_one.h"
#include "worker/cgroup.h"

namespace paddock::worker {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

// Three processes that hold the lifeline: the rank, a grandchild deaf to SIGTERM, and one in a session of its
// own.
std::string stubborn_family(const Lifeline& line) {
  return "trap '' TERM; exec 9>" + line.path +
         "; (echo deaf >&9; exec tail -f /dev/null) & "
         "setsid sh -c 'echo apart >&9; exec tail -f /dev/null' & "
         "echo rank >&9; exec tail -f /dev/null";
}

void wait_for_family(Lifeline& line) {
  for (int member = 0; member < 3; ++member) ASSERT_FALSE(line.read_line().empty());
}

pid_t parent_of(std::int64_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  for (std::string word; file >> word;) {
    pid_t parent = 0;
    if (word == "PPid:" && file >> parent) return parent;
  }
  return -1;
}

TEST(Worker, ARanksOutputReportsAndEndArriveInThatOrder) {
  ClusterOfOne cluster;
  const Fence fence = cluster.start(
      "echo out; echo err >&2; echo rank $RANK of $WORLD_SIZE, fence $PADDOCK_FENCE; pwd; cat "
      "\"$PADDOCK_SPEC\"; "
      "exec 8>&$PADDOCK_REPORT_FD; "
      "echo nonsense >&8; echo '{\"progress\": {\"step\": 1}}' >&8; "
      "echo '{\"artifact\": {\"name\": \"dataset\", \"path\": \"/p\", \"hash\": \"h\"}}' >&8; "
      "echo '{\"failure\": {\"message\": \"because\"}}' >&8; exit 3");
  const Ended ended = cluster.end_of(fence);
  EXPECT_EQ(ended.exit_code, 3);
  EXPECT_EQ(ended.signal, 0);
  EXPECT_EQ(ended.reason, "exited 3");
  EXPECT_EQ(cluster.logs[fence],
            "out\nerr\nrank 0 of 1, fence 1\n" + (cluster.folder / "job").string() + "\n{}");
  EXPECT_TRUE(cluster.log_is_whole[fence]);
  const auto& findings = cluster.findings[fence];
  ASSERT_EQ(findings.size(), 5u);
  EXPECT_TRUE(std::holds_alternative<Started>(findings[0]));
  EXPECT_EQ(std::get<Progress>(findings[1]).json, R"({"step":1})");
  EXPECT_EQ(std::get<Artifact>(findings[2]).name, "dataset");
  EXPECT_EQ(std::get<Failure>(findings[3]).message, "because");
}

TEST(Worker, ACommandThatIsNotThereSaysSo) {
  ClusterOfOne cluster;
  const Fence fence = cluster.start("exec /no/such/program");
  EXPECT_EQ(cluster.end_of(fence).exit_code, 127);
  EXPECT_NE(cluster.logs[fence].find("/no/such/program"), std::string::npos);
}

TEST(Worker, ARankThatSavesOnSigtermExitsByItself) {
  ClusterOfOne cluster;
  Lifeline line(cluster.folder / "line");
  const Fence fence = cluster.start(
      "exec 9>" + line.path + "; trap 'echo saving; exit 75' TERM; tail -f /dev/null & echo ready >&9; wait");
  cluster.pid_of(fence);
  ASSERT_EQ(line.read_line(), "ready");
  cluster.end(fence, 60s);
  const Ended ended = cluster.end_of(fence);
  EXPECT_EQ(ended.exit_code, 75);
  EXPECT_EQ(ended.reason, "exited 75 (the test wants it)");
  EXPECT_EQ(cluster.logs[fence], "saving\n");
  EXPECT_TRUE(line.closed());
}

TEST(Worker, ARankThatIgnoresSigtermIsKilledWithAllItStarted) {
  ClusterOfOne cluster;
  Lifeline line(cluster.folder / "line");
  const Fence fence = cluster.start(stubborn_family(line));
  wait_for_family(line);
  cluster.end(fence, 50ms);
  EXPECT_EQ(cluster.end_of(fence).signal, SIGKILL);
  EXPECT_TRUE(line.closed());
}

TEST(Worker, WhatARankLeavesBehindEndsWithIt) {
  ClusterOfOne cluster;
  Lifeline line(cluster.folder / "line");
  const Fence fence = cluster.start("exec 9>" + line.path +
                                    "; setsid sh -c 'echo apart >&9; exec tail -f /dev/null' & "
                                    "read word < " +
                                    (cluster.folder / "go").string() + "; exit 0");
  Lifeline go(cluster.folder / "go");
  ASSERT_EQ(line.read_line(), "apart");
  std::ofstream(go.path) << "go\n";
  EXPECT_EQ(cluster.end_of(fence).exit_code, 0);
  EXPECT_TRUE(line.closed());
}

TEST(Worker, KilledItTakesAllItsRanksAlong) {
  ClusterOfOne cluster;
  Lifeline line(cluster.folder / "line");
  const Fence fence = cluster.start(stubborn_family(line));
  cluster.pid_of(fence);
  wait_for_family(line);
  cluster.signal_worker(SIGKILL);
  EXPECT_TRUE(line.closed());
  EXPECT_TRUE(WIFSIGNALED(cluster.wait_for_worker()));
}

TEST(Worker, AKilledGuardLeavesNobodyBehindAndTheRankCountsAsKilled) {
  ClusterOfOne cluster;
  Lifeline line(cluster.folder / "line");
  const Fence fence = cluster.start(stubborn_family(line));
  const pid_t guard = parent_of(cluster.pid_of(fence));
  wait_for_family(line);
  kill(guard, SIGKILL);
  EXPECT_TRUE(line.closed());
  EXPECT_EQ(cluster.end_of(fence).signal, SIGKILL);
}

TEST(Worker, AGuardServesOneRankAfterTheOtherEachWithItsOwnEnvironment) {
  ClusterOfOne cluster;
  Lifeline line(cluster.folder / "line");
  const std::string script = "echo $PADDOCK_FENCE; setsid sh -c 'exec 9>" + line.path +
                             "; exec tail -f /dev/null' & exec 9>" + line.path +
                             "; echo here >&9; read word < ";
  Lifeline first_go(cluster.folder / "first");
  const Fence first = cluster.start(script + first_go.path);
  const pid_t guard = parent_of(cluster.pid_of(first));
  ASSERT_EQ(line.read_line(), "here");
  std::ofstream(first_go.path) << "go\n";
  cluster.end_of(first);
  EXPECT_TRUE(line.closed());  // also of whom the first left behind
  Lifeline second_go(cluster.folder / "second");
  const Fence second = cluster.start("echo $PADDOCK_FENCE; read word < " + second_go.path);
  EXPECT_EQ(parent_of(cluster.pid_of(second)), guard);
  std::ofstream(second_go.path) << "go\n";
  EXPECT_EQ(cluster.end_of(second).exit_code, 0);
  EXPECT_EQ(cluster.logs[first], "1\n");
  EXPECT_EQ(cluster.logs[second], "2\n");
}

TEST(Worker, WithoutAnswersItsRanksEndBeforeTheLease) {
  ClusterOfOne cluster(2s);
  Lifeline line(cluster.folder / "line");
  const Fence fence = cluster.start(stubborn_family(line));
  wait_for_family(line);
  EXPECT_TRUE(line.closed());  // nobody serves meanwhile
  EXPECT_EQ(cluster.end_of(fence).reason, "killed by signal 9 (lease lapsed)");
}

TEST(Worker, EvenAStoppedOneKeepsNoRankBeyondTheLease) {
  ClusterOfOne cluster(2s);
  Lifeline line(cluster.folder / "line");
  cluster.start(stubborn_family(line));
  wait_for_family(line);
  cluster.signal_worker(SIGSTOP);
  EXPECT_TRUE(line.closed());
}

TEST(Worker, ARestartedCoordinatorFindsItsRanksUndisturbedAndMissesNothing) {
  ClusterOfOne cluster;
  cluster.acknowledges = false;
  Lifeline line(cluster.folder / "line");
  Lifeline go(cluster.folder / "go");
  const Fence fence = cluster.start("exec 9>" + line.path + "; echo before; echo ready >&9; read word < " +
                                    go.path + "; echo after");
  const std::int64_t pid = cluster.pid_of(fence);
  ASSERT_EQ(line.read_line(), "ready");
  cluster.restart_coordinator();
  cluster.findings.clear();
  cluster.logs.clear();
  cluster.acknowledges = true;
  cluster.until_joined(cluster.joins + 1);
  EXPECT_EQ(cluster.held_at_join, (std::vector<RankKey>{{fence, RankId(0)}}));
  EXPECT_EQ(cluster.pid_of(fence), pid);  // told again, as nobody had acknowledged it
  std::ofstream(go.path) << "go\n";
  EXPECT_EQ(cluster.end_of(fence).exit_code, 0);
  EXPECT_EQ(cluster.logs[fence], "before\nafter\n");
}

TEST(Worker, AStartSentTwiceRunsOnce) {
  ClusterOfOne cluster;
  const Fence fence = cluster.start("echo once");
  cluster.send_start(fence);
  cluster.end_of(fence);
  cluster.send_start(fence);
  EXPECT_EQ(cluster.end_of(cluster.start("echo another")).exit_code,
            0);  // what was sent before it has been seen
  EXPECT_EQ(cluster.logs[fence], "once\n");
  EXPECT_EQ(cluster.findings[fence].size(), 2u);
}

TEST(Worker, AskedToStopItEndsItsRanksReportsAndLeaves) {
  ClusterOfOne cluster;
  Lifeline line(cluster.folder / "line");
  const Fence fence = cluster.start("exec 9>" + line.path +
                                    "; trap 'exit 75' TERM; tail -f /dev/null & echo ready >&9; wait");
  ASSERT_EQ(line.read_line(), "ready");
  cluster.signal_worker(SIGTERM);
  EXPECT_EQ(cluster.end_of(fence).exit_code, 75);
  cluster.until_left();
  const int status = cluster.wait_for_worker();
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

// Why there is no writable memory cgroup here; "": there is one.
std::string lack_of_cgroups() {
  Cgroups probe = Cgroups::open("test-probe", 0);
  const std::string lack =
      probe.bounds_memory() ? "" : "needs a writable memory cgroup: " + probe.description();
  probe.close();
  return lack;
}

// Where the memory of a process is counted, from its /proc/PID/cgroup.
fs::path memory_group_in(const std::string& listed) {
  std::istringstream lines(listed);
  fs::path unified;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t path = line.find('/');
    if (line.find(":memory:") != std::string::npos) return "/sys/fs/cgroup/memory" + line.substr(path);
    if (line.starts_with("0::")) unified = "/sys/fs/cgroup" + line.substr(path);
  }
  return unified;
}

TEST(Worker, ARankSharesItsGuardsGroupUnlessItHasALimitOfItsOwnAndNoGroupStaysBehind) {
  if (const std::string lack = lack_of_cgroups(); !lack.empty()) GTEST_SKIP() << lack;
  ClusterOfOne cluster;
  // Of the rank, and of its parent.
  const auto groups = [&](std::uint64_t memory_bytes) {
    const Fence fence = cluster.start("cat /proc/self/cgroup; echo ==; cat /proc/$PPID/cgroup", memory_bytes);
    EXPECT_EQ(cluster.end_of(fence).exit_code, 0);
    const std::string& log = cluster.logs[fence];
    const std::size_t middle = log.find("==\n");
    return std::pair(memory_group_in(log.substr(0, middle)), memory_group_in(log.substr(middle + 3)));
  };
  const auto [free_rank, its_guard] = groups(0);
  EXPECT_EQ(free_rank, its_guard);
  EXPECT_TRUE(fs::exists(its_guard)) << its_guard;
  const auto [bounded_rank, other_guard] = groups(256u << 20);
  EXPECT_NE(bounded_rank, other_guard);
  EXPECT_FALSE(fs::exists(bounded_rank)) << bounded_rank;
  EXPECT_EQ(groups(0), std::pair(free_rank, its_guard)) << "the same guard, where it was";
  cluster.signal_worker(SIGTERM);
  cluster.until_left();
  cluster.wait_for_worker();
  EXPECT_FALSE(fs::exists(its_guard)) << its_guard;
}

TEST(Worker, ARankAboveItsMemoryIsKilledAndSaysWhy) {
  if (const std::string lack = lack_of_cgroups(); !lack.empty()) GTEST_SKIP() << lack;
  ClusterOfOne cluster;
  const Fence fence = cluster.start("head -c 300000000 /dev/zero | tail -c 299999999 > /dev/null", 64u << 20);
  const Ended ended = cluster.end_of(fence);
  EXPECT_TRUE(ended.out_of_memory);
  EXPECT_NE(ended.reason.find("out of memory"), std::string::npos) << ended.reason;
}

TEST(Worker, TwoWorkersDoNotShareAStateFolder) {
  ClusterOfOne cluster;
  WorkerOptions options;
  options.coordinator = "tcp://127.0.0.1:1";
  options.state = cluster.folder / "worker";
  const auto second = run_worker(options);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
}

}  // namespace
}  // namespace paddock::worker
