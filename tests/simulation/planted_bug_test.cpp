// The simulation can fail: each of these deliberate bugs is found, within the seeds that it is given in every run.
#include "base/planted_bug.h"

#include <gtest/gtest.h>

#include <string>

#include "simulation/simulation.h"

namespace paddock::simulation {
namespace {

constexpr std::uint64_t kSeedsMax = 2'000;

struct Case {
  PlantedBug bug;
  std::string name;
  std::string check;  // the one that is to find it, as its violations begin
};

class Planted : public testing::TestWithParam<Case> {};

TEST_P(Planted, BugIsFound) {
  planted_bug = GetParam().bug;
  for (std::uint64_t seed = 0; seed < kSeedsMax; ++seed) {
    const Outcome outcome = simulate(seed);
    if (outcome.violations.empty()) continue;
    RecordProperty("seeds", static_cast<int>(seed + 1));
    EXPECT_NE(outcome.violations.front().find(GetParam().check), std::string::npos)
        << "seed " << seed << ": " << outcome.violations.front();
    return;
  }
  FAIL() << kSeedsMax << " seeds have not found it";
}

INSTANTIATE_TEST_SUITE_P(Bugs, Planted,
                         testing::Values(Case{PlantedBug::kSkipSync, "SkipSync", "nothing lost"},
                                         Case{PlantedBug::kForgetFence, "ForgetFence", "right ends"},
                                         Case{PlantedBug::kGrantTwice, "GrantTwice", "is held twice"},
                                         Case{PlantedBug::kLoseCancel, "LoseCancel", "nothing lost"},
                                         Case{PlantedBug::kIgnoreQuota, "IgnoreQuota", "quotas"},
                                         Case{PlantedBug::kForgetShare, "ForgetShare", "fair share"},
                                         Case{PlantedBug::kTrustJoins, "TrustJoins", "refuses a worker"}),
                         [](const auto& bug) { return bug.param.name; });

}  // namespace
}  // namespace paddock::simulation
