// The cluster from many seeds. A failure prints the one command that shows it again.
#include "simulation/simulation.h"

#include <gtest/gtest.h>

namespace paddock::simulation {
namespace {

constexpr std::uint64_t kSeedsPerBlock = 500;

class Seeds : public testing::TestWithParam<std::uint64_t> {};

TEST_P(Seeds, NothingThatMustNotHappenHappensAndEverythingEnds) {
  std::set<std::string> probes;
  for (std::uint64_t i = 0; i < kSeedsPerBlock; ++i) {
    const std::uint64_t seed = GetParam() * kSeedsPerBlock + i;
    const Outcome outcome = simulate(seed);
    for (const std::string& violation : outcome.violations)
      ADD_FAILURE() << "paddock simulate --seed " << seed << ": " << violation;
    probes.insert(outcome.probes.begin(), outcome.probes.end());
    if (i % 20 == 0) {
      EXPECT_EQ(simulate(seed).hash, outcome.hash) << "seed " << seed << " has two histories";
    }
  }
  for (const std::string& probe : probes_to_hit())
    EXPECT_TRUE(probes.contains(probe)) << "never happened: " << probe;
}

INSTANTIATE_TEST_SUITE_P(Blocks, Seeds, testing::Values(0, 1, 2, 3),
                         [](const auto& block) { return "Of500Number" + std::to_string(block.param); });

}  // namespace
}  // namespace paddock::simulation
