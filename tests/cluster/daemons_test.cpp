// What a cluster of real processes does when its daemons are killed.
#include <signal.h>

#include <fstream>

#include "tests/cluster/real_cluster.h"

namespace paddock::cluster_test {
namespace {

using Daemons = RealCluster;

std::string first_line(const fs::path& path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  return line;
}

TEST_F(Daemons, AThreeJobGraphRunsThroughRealProcesses) {
  start_coordinator();
  start_worker("a");
  start_worker("b");
  const auto id = submit(R"(
graph: three
jobs:
  first:  { kind: command, command: [sh, -c, 'echo one > "$PADDOCK_JOB_DIR/said"; echo hello from first'] }
  gang:   { kind: command, needs: [first], resources: { nodes: 2 },
            command: [sh, -c, 'echo "$RANK of $WORLD_SIZE" > "$PADDOCK_JOB_DIR/rank$RANK"'] }
  last:   { kind: command, needs: [gang], command: [sh, -c, 'exit 0'] }
)");
  const Json ended = wait_until_ended(id);
  EXPECT_EQ(ended.at("state"), "succeeded") << ended.dump(1);
  const Json gang = job(ended, "gang");
  EXPECT_EQ(gang.at("nodes").size(), 2u);
  EXPECT_NE(gang.at("nodes")[0], gang.at("nodes")[1]);
  const fs::path store = folder / "store/graphs" / std::to_string(id);
  EXPECT_EQ(first_line(store / "gang/rank0"), "0 of 2");
  EXPECT_EQ(first_line(store / "gang/rank1"), "1 of 2");
  EXPECT_EQ(paddock({"logs", std::to_string(id), "first"}).out, "hello from first\n");
}

TEST_F(Daemons, AKilledCoordinatorLosesNothingAndDisturbsNoRank) {
  start_coordinator("60s");
  start_worker("a");
  Fifo said(folder / "said");
  Fifo go(folder / "go");
  const auto id = submit(
      "graph: survives\njobs:\n"
      "  long: { kind: command, command: [sh, -c, 'echo $$ > " +
      said.path.string() + "; read line < " + go.path.string() +
      "; echo done'] }\n"
      "  after: { kind: command, needs: [long], command: [\"true\"] }\n");
  const std::string pid = said.read_line();
  const auto queued = submit("graph: waits\njobs:\n  only: { kind: command, command: [\"true\"] }\n");
  kill_now("coordinator");
  EXPECT_EQ(kill(std::stoi(pid), 0), 0) << "the rank died with the coordinator";
  start_coordinator("60s");
  EXPECT_EQ(graph(id).at("state"), "active");
  EXPECT_EQ(graph(queued).at("state"), "active");
  go.write_line("go");
  const Json ended = wait_until_ended(id);
  EXPECT_EQ(ended.at("state"), "succeeded") << ended.dump(1);
  EXPECT_EQ(job(ended, "long").at("attempts").size(), 1u) << "it must not have been started twice";
  EXPECT_EQ(wait_until_ended(queued).at("state"), "succeeded");
  EXPECT_EQ(paddock({"logs", std::to_string(id), "long"}).out, "done\n");
}

TEST_F(Daemons, AKilledWorkersAttemptIsFencedAndRunsElsewhere) {
  start_coordinator("2s");
  start_worker("a");
  Fifo said(folder / "said");
  Fifo go(folder / "go");
  const auto id =
      submit("graph: moves\njobs:\n  job: { kind: command, command: [sh, -c, 'echo $PADDOCK_FENCE $$ > " +
             said.path.string() + "; read line < " + go.path.string() + "; echo $line'] }\n");
  const std::string first = said.read_line();
  start_worker("b");
  kill_now("a");
  const std::string second = said.read_line();  // the second attempt, after the lease
  EXPECT_LT(std::stoi(first), std::stoi(second)) << "the fence grows";
  const pid_t first_pid = std::stoi(first.substr(first.find(' ') + 1));
  EXPECT_NE(kill(first_pid, 0), 0) << "the first attempt's process must be dead before the second begins";
  go.write_line("moved");
  const Json ended = wait_until_ended(id);
  EXPECT_EQ(ended.at("state"), "succeeded") << ended.dump(1);
  const Json attempts = job(ended, "job").at("attempts");
  ASSERT_EQ(attempts.size(), 2u);
  EXPECT_EQ(attempts[0].at("outcome"), "node_lost");
  EXPECT_EQ(attempts[1].at("nodes")[0], "b");
}

TEST_F(Daemons, ACancelledGraphEndsItsRanksAndSkipsNothingSilently) {
  start_coordinator();
  start_worker("a");
  Fifo said(folder / "said");
  const auto id = submit(
      "graph: stops\njobs:\n  job: { kind: command, grace: 1s, command: [sh, -c, 'trap \"\" TERM; echo $$ "
      "> " +
      said.path.string() + "; while :; do read line < " + said.path.string() +
      ".never; done'] }\n"
      "  after: { kind: command, needs: [job], command: [\"true\"] }\n");
  Fifo never(said.path.string() + ".never");
  const pid_t pid = std::stoi(said.read_line());
  EXPECT_EQ(paddock({"cancel", std::to_string(id), "--reason", "a test"}).exit_code, 0);
  const Json ended = wait_until_ended(id);
  EXPECT_EQ(ended.at("state"), "cancelled") << ended.dump(1);
  EXPECT_NE(kill(pid, 0), 0) << "it ignored SIGTERM, so SIGKILL had to come";
  EXPECT_EQ(job(ended, "after").at("state"), "cancelled");
}

TEST_F(Daemons, AFailureIsRetriedThenTheDependantsAreSkipped) {
  start_coordinator();
  start_worker("a");
  const auto id = submit(R"(
graph: fails
jobs:
  bad:   { kind: command, retry: { limit: 1, backoff: 100ms }, command: [sh, -c, 'exit 3'] }
  after: { kind: command, needs: [bad], command: ["true"] }
)");
  const Json ended = wait_until_ended(id);
  EXPECT_EQ(ended.at("state"), "failed");
  EXPECT_EQ(job(ended, "bad").at("attempts").size(), 2u);
  EXPECT_EQ(job(ended, "after").at("state"), "skipped");
}

TEST_F(Daemons, AWrongGraphIsRefusedWithFileLineKeyAndWhatIsAllowed) {
  start_coordinator();
  const fs::path file = folder / "wrong.yaml";
  std::ofstream(file) << "graph: wrong\njobs:\n  one:\n    kind: comand\n";
  const Outcome refused = paddock({"submit", file});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("wrong.yaml:4"), std::string::npos) << refused.err;
  EXPECT_NE(refused.err.find("command"), std::string::npos) << refused.err;
}

}  // namespace
}  // namespace paddock::cluster_test
