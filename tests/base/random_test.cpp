#include "base/random.h"

#include <gtest/gtest.h>

#include <vector>

namespace paddock {
namespace {

TEST(Random, PhiloxMatchesThePublishedVectors) {
  // Random123 known-answer tests for philox4x32-10.
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Philox{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}));
  EXPECT_EQ(philox({0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu}, {0xffffffffu, 0xffffffffu}),
            (Philox{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}));
}

TEST(Random, PermutationIsABijectionForEverySizeAndEpoch) {
  for (std::uint64_t n : {1u, 2u, 3u, 5u, 16u, 17u, 255u, 1000u, 4097u}) {
    for (std::uint64_t epoch : {0u, 1u, 7u}) {
      std::vector<bool> seen(n, false);
      for (std::uint64_t i = 0; i < n; ++i) {
        const std::uint64_t image = permute(i, n, 42, epoch);
        ASSERT_LT(image, n);
        ASSERT_FALSE(seen[image]) << "n " << n << " epoch " << epoch;
        seen[image] = true;
      }
    }
  }
}

TEST(Random, PermutationWorksAtABillionSamples) {
  const std::uint64_t n = 1'000'000'007;
  EXPECT_LT(permute(n - 1, n, 1, 0), n);
  EXPECT_NE(permute(5, n, 1, 0), permute(5, n, 1, 1));
  EXPECT_NE(permute(5, n, 1, 0), permute(5, n, 2, 0));
}

TEST(Random, DrawsDependOnEveryPartOfTheirKey) {
  const auto first = [](std::uint64_t seed, std::uint64_t position, Purpose purpose, std::uint32_t lane) {
    return Draws(seed, position, purpose, lane).u64();
  };
  const std::uint64_t base = first(1, 2, Purpose::kCrop, 3);
  EXPECT_EQ(base, first(1, 2, Purpose::kCrop, 3));
  EXPECT_NE(base, first(2, 2, Purpose::kCrop, 3));
  EXPECT_NE(base, first(1, 3, Purpose::kCrop, 3));
  EXPECT_NE(base, first(1, 2 + (std::uint64_t{1} << 33), Purpose::kCrop, 3));
  EXPECT_NE(base, first(1, 2, Purpose::kColor, 3));
  EXPECT_NE(base, first(1, 2, Purpose::kCrop, 4));
}

TEST(Random, UniformAndNormalHaveTheRightMoments) {
  Draws draws(9, 0, Purpose::kProbe);
  double sum = 0, normal_sum = 0, normal_square = 0;
  constexpr int n = 100'000;
  for (int i = 0; i < n; ++i) {
    const double u = draws.uniform();
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    const double z = draws.normal();
    normal_sum += z;
    normal_square += z * z;
  }
  EXPECT_NEAR(sum / n, 0.5, 0.005);
  EXPECT_NEAR(normal_sum / n, 0, 0.015);
  EXPECT_NEAR(normal_square / n, 1, 0.02);
}

}  // namespace
}  // namespace paddock
