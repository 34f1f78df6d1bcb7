// On a GPU blocks have one form: sliced weights end in the very bits of a run with whole ones.
#include <gtest/gtest.h>

#include <filesystem>

#include "jobs/devices.h"
#include "pupil_steps.h"

namespace paddock::jobs {
namespace {

TEST(SlicedWeightsGpu, HaveTheBitsOfWholeOnes) {
  if (!std::filesystem::exists("/dev/nvidiactl")) GTEST_SKIP() << "needs a GPU";
  const auto device = choose_device("cuda");
  model::OneRank ranks;
  const Trained wanted = trained_on(ranks, {}, device);
  ASSERT_TRUE(trained_on(ranks, {}, device) == wanted) << "the GPU does not repeat itself";
  EXPECT_TRUE(trained_on(ranks, {HeldWeights::kSliced}, device) == wanted);
  EXPECT_TRUE(trained_on(ranks, {HeldWeights::kSliced, true}, device) == wanted);
}

}  // namespace
}  // namespace paddock::jobs
