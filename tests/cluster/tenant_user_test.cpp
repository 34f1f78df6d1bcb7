// Jobs run as the user of the tenant that submitted them, where the worker is root.
#include <signal.h>
#include <unistd.h>

#include <fstream>

#include "tests/cluster/real_cluster.h"

namespace paddock::cluster_test {
namespace {

class TenantUser : public RealCluster {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "only root can start other users' processes";
    fs::permissions(folder, fs::perms::others_read | fs::perms::others_exec, fs::perm_options::add);
    start_coordinator();
  }
  static pid_t parent_of(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/status");
    for (std::string word; file >> word;) {
      pid_t parent = 0;
      if (word == "PPid:" && file >> parent) return parent;
    }
    return -1;
  }
};

TEST_F(TenantUser, AJobIsItsTenantsUserForGood) {
  start_worker("a", {"--tenant-user", "vision=nobody"});
  const auto id = submit(
      "graph: who\ntenant: vision\njobs:\n  job: { kind: command, command: [sh, -c, "
      "'id -un; id -gn; id -G; grep -E \"^(Uid|Gid|NoNewPrivs)\" /proc/self/status; echo $HOME $USER; "
      "echo mine > $PADDOCK_JOB_DIR/file; cat /proc/1/environ > /dev/null 2>&1 || echo not root'] }\n");
  const Json ended = wait_until_ended(id);
  ASSERT_EQ(ended.at("state"), "succeeded") << ended.dump(1);
  const std::string said = paddock({"logs", std::to_string(id), "job"}).out;
  EXPECT_EQ(said.substr(0, said.find('\n')), "nobody") << said;
  EXPECT_NE(said.find("Uid:\t65534\t65534\t65534\t65534"), std::string::npos) << said;
  EXPECT_NE(said.find("Gid:\t65534\t65534\t65534\t65534"), std::string::npos) << said;
  EXPECT_NE(said.find("NoNewPrivs:\t1"), std::string::npos) << said;
  EXPECT_NE(said.find("/nonexistent nobody"), std::string::npos) << said;
  EXPECT_NE(said.find("not root"), std::string::npos) << said;
}

TEST_F(TenantUser, ARankOfAnotherUserDiesWithItsGuardAllTheSame) {
  start_worker("a", {"--tenant-user", "*=nobody"});
  Fifo said(folder / "said");
  fs::permissions(said.path, fs::perms::all);
  const auto id = submit(
      "graph: dies\njobs:\n  job: { kind: command, retry: { limit: 0 }, command: [sh, -c, 'echo $$ > " +
      said.path.string() + "; exec tail -f /dev/null'] }\n");
  const pid_t rank = std::stoi(said.read_line());
  EXPECT_EQ(kill(parent_of(rank), SIGKILL), 0);
  const Json ended = wait_until_ended(id);
  EXPECT_EQ(ended.at("state"), "failed") << ended.dump(1);
  EXPECT_NE(kill(rank, 0), 0);
}

TEST_F(TenantUser, ATenantThatHasNoneIsRefusedInWords) {
  start_worker("a", {"--tenant-user", "vision=nobody"});
  const auto id = submit(
      "graph: none\ntenant: speech\njobs:\n  job: { kind: command, retry: { limit: 0 }, command: [\"true\"] "
      "}\n");
  const Json ended = wait_until_ended(id);
  EXPECT_EQ(ended.at("state"), "failed");
  const std::string reason = job(ended, "job").at("attempts").at(0).at("reason");
  EXPECT_NE(reason.find("tenant 'speech' has no user on this node"), std::string::npos) << reason;
}

TEST_F(TenantUser, AUserThatTheMachineDoesNotKnowIsRefusedAtTheStart) {
  for (const char* wrong : {"vision=nosuchuser", "vision", "vision=root", "a b=nobody"}) {
    const Outcome refused = run({"worker", "--coordinator", "tcp://127.0.0.1:1", "--plain", "--state",
                                 folder / "w", "--gpus", "none", "--tenant-user", wrong, "--quiet"});
    EXPECT_EQ(refused.exit_code, 2) << wrong;
    EXPECT_NE(refused.err.find(wrong), std::string::npos) << refused.err;
  }
}

}  // namespace
}  // namespace paddock::cluster_test
