#include "data/masking.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

namespace paddock::data {
namespace {

TEST(Masking, BlockMasksHaveTheReferencesStatistics) {
  const char* folder = std::getenv("PADDOCK_GOLDEN_DIR");
  std::ifstream text(std::string(folder == nullptr ? PADDOCK_SOURCE_DIR "/tests/golden" : folder) +
                     "/manifest.json");
  const auto manifest = nlohmann::json::parse(text);
  const auto& cases = manifest.at("cases");
  const auto found =
      std::find_if(cases.begin(), cases.end(), [](const auto& c) { return c.at("kind") == "masking_stats"; });
  ASSERT_NE(found, cases.end());
  const int rows = found->at("config").at("grid")[0], columns = found->at("config").at("grid")[1];
  constexpr int kDraws = 2000;  // as many as the reference made
  for (const auto& want : found->at("stats")) {
    const int target = want.at("asked");
    double sum = 0, center = 0, corner = 0;
    for (int i = 0; i < kDraws; ++i) {
      Draws draws(1, static_cast<std::uint64_t>(i), Purpose::kMask, static_cast<std::uint32_t>(target));
      const auto mask = block_mask(rows, columns, target, draws);
      const auto masked = std::count(mask.begin(), mask.end(), std::uint8_t{1});
      ASSERT_LE(masked, target);
      sum += static_cast<double>(masked);
      center += mask[static_cast<std::size_t>(rows / 2 * columns + columns / 2)];
      corner += mask[0];
    }
    // Four standard errors of the difference of two samples of 2,000.
    EXPECT_NEAR(sum / kDraws, want.at("mean").get<double>(),
                4 * want.at("std").get<double>() * std::sqrt(2.0 / kDraws))
        << target;
    const double rate = want.at("center_rate");
    EXPECT_NEAR(center / kDraws, rate, 4 * std::sqrt(2 * rate * (1 - rate) / kDraws)) << target;
    const double edge = want.at("corner_rate");
    EXPECT_NEAR(corner / kDraws, edge, 4 * std::sqrt(2 * edge * (1 - edge) / kDraws)) << target;
  }
}

TEST(Masking, APlanMasksHalfTheCropsWithWeightsThatSumToOneEach) {
  const MaskOptions options;
  const MaskPlan plan = plan_masks(64, options, 3, 17, 0);
  EXPECT_EQ(plan.indices_max, 2496);  // of 64 crops of 16 × 16 patches, as the reference's collate counts it
  EXPECT_LE(static_cast<std::int64_t>(plan.indices.size()), plan.indices_max);
  EXPECT_GT(static_cast<double>(plan.indices.size()), 0.95 * static_cast<double>(plan.indices_max));
  ASSERT_EQ(plan.masks.size(), 64u * 256);
  EXPECT_TRUE(std::is_sorted(plan.indices.begin(), plan.indices.end()));
  std::map<std::int64_t, double> weight_of_crop;
  for (std::size_t i = 0; i < plan.indices.size(); ++i) {
    EXPECT_EQ(plan.masks[static_cast<std::size_t>(plan.indices[i])], 1);
    weight_of_crop[plan.indices[i] / 256] += plan.weights[i];
  }
  EXPECT_EQ(weight_of_crop.size(), 32u);
  for (const auto& [crop, weight] : weight_of_crop) EXPECT_NEAR(weight, 1, 1e-5) << crop;
  EXPECT_EQ(std::accumulate(plan.masks.begin(), plan.masks.end(), std::size_t{0}), plan.indices.size());
}

TEST(Masking, APlanIsAFunctionOfSeedStepAndRank) {
  const MaskOptions options;
  const auto masks = plan_masks(8, options, 3, 17, 1).masks;
  EXPECT_EQ(masks, plan_masks(8, options, 3, 17, 1).masks);
  EXPECT_NE(masks, plan_masks(8, options, 3, 18, 1).masks);
  EXPECT_NE(masks, plan_masks(8, options, 3, 17, 0).masks);
  EXPECT_NE(masks, plan_masks(8, options, 4, 17, 1).masks);
}

TEST(Masking, NothingIsMaskedWhenTheProbabilityIsZeroOrTheGridIsTiny) {
  MaskOptions options;
  options.probability = 0;
  EXPECT_TRUE(plan_masks(8, options, 1, 0, 0).indices.empty());
  options = {.rows = 1, .columns = 1};
  const MaskPlan tiny = plan_masks(8, options, 1, 0, 0);
  EXPECT_EQ(tiny.masks.size(), 8u);
  EXPECT_TRUE(tiny.indices.empty());
}

}  // namespace
}  // namespace paddock::data
