// Reservations through the real programs: made, listed and removed by the command line, and what keeps others off.
#include "tests/cluster/real_cluster.h"

namespace paddock::cluster_test {
namespace {

class ReservedNodes : public RealCluster {
 protected:
  void SetUp() override {
    start_coordinator();
    start_worker("a");
  }
};

TEST_F(ReservedNodes, AreMadeListedAndRemovedByTheCommandLine) {
  EXPECT_EQ(paddock({"reservations"}).out, "nothing is reserved\n");
  const Json made = ask({"reserve", "talk", "--nodes", "1", "--tenant", "vision,speech", "--for", "2h"});
  EXPECT_EQ(made.at("reservation"), "talk");
  EXPECT_EQ(made.at("tenants"), Json({"speech", "vision"}));
  EXPECT_EQ(made.at("nodes"), Json({"a"}));
  EXPECT_EQ(made.at("to_clear"), Json::array());
  // It begins when it is journaled, a little after it was asked for.
  EXPECT_NEAR(made.at("ends_unix_ms").get<double>() - made.at("begins_unix_ms").get<double>(), 7'200'000,
              1'000);
  const Json listed = ask({"reservations"}).at("reservations");
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed.at(0).at("reservation"), "talk");
  EXPECT_NE(paddock({"reservations"}).out.find("RESERVATION  WHEN"), std::string::npos);
  EXPECT_EQ(ask({"unreserve", "talk"}), Json({{"reservation", "talk"}}));
  EXPECT_EQ(ask({"reservations"}).at("reservations"), Json::array());
}

TEST_F(ReservedNodes, WhatCannotBeReservedIsSaidWithItsExitCode) {
  ASSERT_EQ(paddock({"reserve", "talk", "--nodes", "1", "--tenant", "vision", "--for", "1h"}).exit_code, 0);
  const Outcome twice = paddock({"reserve", "talk", "--nodes", "1", "--tenant", "vision", "--for", "1h"});
  EXPECT_EQ(twice.exit_code, 1);
  EXPECT_NE(twice.err.find("there is a reservation talk already"), std::string::npos) << twice.err;
  const Outcome many = paddock({"reserve", "more", "--nodes", "1", "--tenant", "vision", "--for", "1h"});
  EXPECT_EQ(many.exit_code, 1);
  EXPECT_NE(many.err.find("0 would do, besides 1 that are reserved at that time"), std::string::npos)
      << many.err;
  const Outcome name = paddock({"reserve", "a talk", "--nodes", "1", "--tenant", "vision", "--for", "1h"});
  EXPECT_EQ(name.exit_code, 2);
  EXPECT_NE(name.err.find("'a talk' is no name for a reservation"), std::string::npos) << name.err;
  const Outcome none = paddock({"unreserve", "walk"});
  EXPECT_EQ(none.exit_code, 3);
  EXPECT_NE(none.err.find("there is no reservation walk; `paddock reservations` lists them"),
            std::string::npos)
      << none.err;
}

TEST_F(ReservedNodes, AreAnOperatorsToMakeAndRemoveAndAUsersToSee) {
  const fs::path ada = allow("ada", {"--role", "submitter", "--tenant", "vision"});
  const auto as_ada = [&](std::vector<std::string> words) {
    words.insert(words.end(), {"--key", ada});
    return paddock(words);
  };
  while (as_ada({"reservations"}).exit_code == 4) {  // until the list of keys is taken up
  }
  const Outcome refused = as_ada({"reserve", "talk", "--nodes", "1", "--tenant", "vision", "--for", "1h"});
  EXPECT_EQ(refused.exit_code, 4) << refused.err;
  ASSERT_EQ(paddock({"reserve", "talk", "--nodes", "1", "--tenant", "vision", "--for", "1h"}).exit_code, 0);
  EXPECT_EQ(as_ada({"unreserve", "talk"}).exit_code, 4);
  EXPECT_NE(as_ada({"reservations"}).out.find("talk"), std::string::npos);
}

// The tenant's own job runs there; another's waits, and runs when the reservation is gone.
TEST_F(ReservedNodes, RunTheTenantsJobsAndNoOthers) {
  ASSERT_EQ(paddock({"reserve", "talk", "--nodes", "1", "--tenant", "vision", "--for", "1h"}).exit_code, 0);
  const auto other =
      submit("graph: other\ntenant: speech\njobs: { job: { kind: command, command: [\"true\"] } }\n");
  const auto own =
      submit("graph: own\ntenant: vision\njobs: { job: { kind: command, command: [\"true\"] } }\n");
  EXPECT_EQ(wait_until_ended(own).at("state"), "succeeded");
  EXPECT_EQ(job(graph(other), "job").at("state"), "queued");
  ASSERT_EQ(paddock({"unreserve", "talk"}).exit_code, 0);
  EXPECT_EQ(wait_until_ended(other).at("state"), "succeeded");
}

}  // namespace
}  // namespace paddock::cluster_test
