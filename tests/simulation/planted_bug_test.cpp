// The simulation can fail: each of these deliberate bugs is found, within the seeds that it is given in every run.
#include "base/planted_bug.h"

#include <gtest/gtest.h>

#include <algorithm>
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

// A bug may break other promises as well, and sooner: it counts as found when the check of the one that it is about says so.
TEST_P(Planted, BugIsFound) {
  planted_bug = GetParam().bug;
  for (std::uint64_t seed = 0; seed < kSeedsMax; ++seed) {
    const Outcome outcome = simulate(seed);
    const bool is_found = std::ranges::any_of(outcome.violations, [](const std::string& violation) {
      return violation.find(GetParam().check) != std::string::npos;
    });
    if (!is_found) continue;
    RecordProperty("seeds", static_cast<int>(seed + 1));
    return;
  }
  FAIL() << kSeedsMax << " seeds have not found it";
}

constexpr const char* kStillOpen = "everything ends";

INSTANTIATE_TEST_SUITE_P(Bugs, Planted,
                         testing::Values(Case{PlantedBug::kSkipSync, "SkipSync", "nothing lost"},
                                         Case{PlantedBug::kForgetFence, "ForgetFence", "right ends"},
                                         Case{PlantedBug::kGrantTwice, "GrantTwice", "is held twice"},
                                         Case{PlantedBug::kLoseCancel, "LoseCancel", "nothing lost"},
                                         Case{PlantedBug::kIgnoreQuota, "IgnoreQuota", "quotas"},
                                         Case{PlantedBug::kForgetShare, "ForgetShare", "fair share"},
                                         Case{PlantedBug::kTrustJoins, "TrustJoins", "refuses a worker"},
                                         Case{PlantedBug::kGiveUpEarly, "GiveUpEarly", "one owner"},
                                         Case{PlantedBug::kOutliveLease, "OutliveLease", "one owner"},
                                         Case{PlantedBug::kForgetTime, "ForgetTime", "each time once"},
                                         Case{PlantedBug::kSendOnce, "SendOnce", kStillOpen},
                                         Case{PlantedBug::kWrapQuota, "WrapQuota", "quotas"},
                                         Case{PlantedBug::kRoundQuota, "RoundQuota", "quotas"},
                                         Case{PlantedBug::kBlameJob, "BlameJob", "right ends"},
                                         Case{PlantedBug::kDeafToGpus, "DeafToGpus", "faulty GPUs"},
                                         Case{PlantedBug::kRemoveEarly, "RemoveEarly", "kept"},
                                         Case{PlantedBug::kKeepOutput, "KeepOutput", "kept"},
                                         Case{PlantedBug::kKeepRows, "KeepRows", "kept"},
                                         Case{PlantedBug::kLoseCalledOff, "LoseCalledOff", "reserved"},
                                         Case{PlantedBug::kRepeatAll, "RepeatAll", "right ends"}),
                         [](const auto& bug) { return bug.param.name; });

}  // namespace
}  // namespace paddock::simulation
