// Keys, roles and tenants through the real programs: who gets an answer, and how it is said to whoever gets none.
#include <signal.h>

#include <fstream>

#include "tests/cluster/real_cluster.h"

namespace paddock::cluster_test {
namespace {

class Security : public RealCluster {
 protected:
  // The program as somebody else than the operator.
  Outcome as(const fs::path& key, std::vector<std::string> words) const {
    words.insert(words.end(), {"--key", key});
    return paddock(words);
  }
  fs::path write(const std::string& name, const std::string& yaml) const {
    std::ofstream(folder / name) << yaml;
    return folder / name;
  }
};

constexpr const char* kQuick = "graph: quick\njobs:\n  job: { kind: command, command: [\"true\"] }\n";

TEST_F(Security, ARevokedKeyIsCutOffAndAnUnknownOneNeverLetIn) {
  start_coordinator();
  const fs::path ada = allow("ada", {"--role", "viewer"});
  // The list is watched: the coordinator has read it before anybody can ask whether it has.
  Outcome answered = as(ada, {"status"});
  while (answered.exit_code == 4) answered = as(ada, {"status"});
  EXPECT_EQ(answered.exit_code, 0) << answered.err;
  revoke("ada");
  while (answered.exit_code == 0) answered = as(ada, {"status"});
  EXPECT_EQ(answered.exit_code, 4) << answered.err;
  EXPECT_NE(answered.err.find("paddock keys allow"), std::string::npos) << answered.err;
  EXPECT_EQ(paddock({"status"}).exit_code, 0) << "others go on";
}

TEST_F(Security, AWrongServerKeyIsToldAsTheLikelyReason) {
  start_coordinator();
  ASSERT_EQ(run({"keys", "new", "other", "--folder", folder}).exit_code, 0);
  const Outcome refused = paddock({"status", "--server-key", folder / "other.public"});
  EXPECT_EQ(refused.exit_code, 5);
  EXPECT_NE(refused.err.find("its key is not the one given as the coordinator's"), std::string::npos)
      << refused.err;
}

TEST_F(Security, WithoutAKeyNothingAnswers) {
  start_coordinator();
  const Outcome refused = paddock({"status", "--plain"});
  EXPECT_EQ(refused.exit_code, 5);
  EXPECT_NE(refused.err.find("only peers with keys"), std::string::npos) << refused.err;
}

TEST_F(Security, ASubmitterIsChargedToItsTenantAndReachesNoOther) {
  start_coordinator();
  start_worker("a");
  const fs::path ada = allow("ada", {"--role", "submitter", "--tenant", "vision"});
  const fs::path bob = allow("bob", {"--role", "submitter", "--tenant", "speech"});
  const fs::path eve = allow("eve", {"--role", "viewer"});
  while (as(eve, {"status"}).exit_code == 4) {  // until the list is taken up
  }
  const Outcome others = as(ada, {"submit", write("other.yaml", std::string("tenant: speech\n") + kQuick)});
  EXPECT_EQ(others.exit_code, 4);
  EXPECT_NE(others.err.find("this key submits for vision"), std::string::npos) << others.err;
  const Outcome mine = as(ada, {"submit", write("mine.yaml", kQuick), "--wait", "--output", "json"});
  ASSERT_EQ(mine.exit_code, 0) << mine.err;
  const Json ended = Json::parse(mine.out);
  const std::string id = std::to_string(ended.at("graph").get<int>());
  EXPECT_EQ(ended.at("tenant"), "vision");
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"status", id}, {"logs", id, "job"}, {"cancel", id}, {"checkpoints", id}}) {
    const Outcome refused = as(bob, words);
    EXPECT_EQ(refused.exit_code, 4) << words[0] << refused.err;
    EXPECT_NE(refused.err.find("belongs to another tenant"), std::string::npos) << refused.err;
  }
  EXPECT_EQ(as(bob, {"status"}).out.find("quick"), std::string::npos);
  EXPECT_NE(as(eve, {"status"}).out.find("quick"), std::string::npos);
  EXPECT_EQ(as(eve, {"submit", folder / "mine.yaml"}).exit_code, 4) << "a viewer changes nothing";
  EXPECT_EQ(as(eve, {"cancel", id}).exit_code, 4);
}

TEST_F(Security, AWorkersKeyIsItsNodesAndAsksNothing) {
  start_coordinator("2s");
  start_worker("a");
  EXPECT_EQ(as(folder / "keys/a.secret", {"status"}).exit_code, 4);
  Fifo said(folder / "said");
  const auto id = submit("graph: cut\njobs:\n  job: { kind: command, command: [sh, -c, 'echo $$ > " +
                         said.path.string() + "; exec tail -f /dev/null'] }\n");
  const pid_t pid = std::stoi(said.read_line());
  start_worker("b");
  revoke("a");
  // Its lease runs out: it kills its rank itself, then the job starts on b.
  const std::string second = said.read_line();
  EXPECT_NE(kill(pid, 0), 0) << "the rank of a worker that was cut off must be dead";
  EXPECT_EQ(job(graph(id), "job").at("nodes")[0], "b");
  EXPECT_NE(log_of("coordinator").find("node_cut_off"), std::string::npos);
  EXPECT_EQ(paddock({"cancel", std::to_string(id)}).exit_code, 0);
}

}  // namespace
}  // namespace paddock::cluster_test
