// Images and tables of positions that are not square, and sides that the patch does not divide.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "model/vision_transformer.h"

namespace paddock::model {
namespace {

using ::testing::HasSubstr;

constexpr std::int64_t kPatch = 4, kWidth = 8;

VisionTransformerOptions options_of(std::int64_t rows, std::int64_t columns) {
  VisionTransformerOptions options;
  options.image_height = rows * kPatch;
  options.image_width = columns * kPatch;
  options.patch_size = kPatch;
  options.embed_dim = kWidth;
  options.depth = 2;
  options.heads = 2;
  options.layerscale = 1;
  return options;
}

VisionTransformer drawn(const VisionTransformerOptions& options) {
  VisionTransformer network(options);
  network.initialize(3);
  torch::manual_seed(5);
  const torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : network.parameters())
    torch::Tensor(tensor).add_(torch::randn(tensor.sizes()), .3);
  return network;
}

torch::Tensor parameter(const VisionTransformer& network, const std::string& wanted) {
  for (const auto& [name, tensor] : network.parameters())
    if (name == wanted) return tensor;
  throw std::out_of_range(wanted);
}

double cubic(double x, double a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

// Shares [out, in] of the input rows in each output row, in the form of bicubic resizing without antialiasing: a = −0.75,
// pixels beyond the edge are the edge.
torch::Tensor plain_shares(std::int64_t in, std::int64_t out, double scale) {
  auto shares = torch::zeros({out, in}, torch::kFloat64);
  for (std::int64_t i = 0; i < out; ++i) {
    const double at = (static_cast<double>(i) + .5) / scale - .5;
    const double base = std::floor(at);
    for (int tap = -1; tap <= 2; ++tap) {
      const auto source = std::clamp<std::int64_t>(static_cast<std::int64_t>(base) + tap, 0, in - 1);
      shares[i][source] += cubic(at - (base + tap), -.75);
    }
  }
  return shares;
}

// With antialiasing: a = −0.5, a filter as wide as the step, and only pixels that exist.
torch::Tensor smooth_shares(std::int64_t in, std::int64_t out) {
  auto shares = torch::zeros({out, in}, torch::kFloat64);
  const double step = static_cast<double>(in) / static_cast<double>(out), wide = std::max(step, 1.);
  for (std::int64_t i = 0; i < out; ++i)
    for (std::int64_t j = 0; j < in; ++j)
      shares[i][j] = cubic((static_cast<double>(j) + .5 - (static_cast<double>(i) + .5) * step) / wide, -.5);
  return shares / shares.sum(1, true);
}

// [1, 1 + rows·columns, D] out of a table of another grid, as the two sums say it.
torch::Tensor expected(const torch::Tensor& table, Grid from, const torch::Tensor& by_row,
                       const torch::Tensor& by_column) {
  const auto patches = table.slice(1, 1).reshape({from.rows, from.columns, kWidth}).to(torch::kFloat64);
  const auto resized = torch::einsum("ri,cj,ijd->rcd", {by_row, by_column, patches});
  return torch::cat({table.slice(1, 0, 1), resized.reshape({1, -1, kWidth}).to(torch::kFloat32)}, 1);
}

struct Change {
  Grid from, to;
};
const std::vector<Change> kChanges{{{3, 5}, {5, 3}},  {{3, 5}, {6, 6}},   {{4, 4}, {3, 7}}, {{7, 2}, {2, 7}},
                                   {{9, 12}, {4, 5}}, {{12, 9}, {12, 4}}, {{2, 3}, {8, 3}}, {{2, 8}, {4, 4}}};

TEST(Positions, OfRectanglesAreResizedWithAnOffsetAsTheSumsSay) {
  for (const double offset : {.1, 0.}) {
    for (const auto& [from, to] : kChanges) {
      auto options = options_of(from.rows, from.columns);
      options.interpolate_offset = offset;
      const auto network = drawn(options);
      const auto scale = [&](std::int64_t in, std::int64_t out) {
        return (static_cast<double>(out) + offset) / static_cast<double>(in);
      };
      // A side that keeps its length is resized too, where there is an offset: the scale is not 1.
      const auto wanted = expected(parameter(network, "pos_embed"), from,
                                   plain_shares(from.rows, to.rows, scale(from.rows, to.rows)),
                                   plain_shares(from.columns, to.columns, scale(from.columns, to.columns)));
      const auto given = network.positions(to.rows, to.columns);
      ASSERT_EQ(given.sizes(), wanted.sizes());
      EXPECT_TRUE(torch::allclose(given, wanted, 1e-4, 1e-5))
          << from.rows << "x" << from.columns << " to " << to.rows << "x" << to.columns << ", offset "
          << offset << ": off by " << (given - wanted).abs().max().item<float>();
    }
  }
}

TEST(Positions, OfRectanglesAreResizedSmoothlyAsTheSumsSay) {
  for (const auto& [from, to] : kChanges) {
    auto options = options_of(from.rows, from.columns);
    options.interpolate_antialias = true;
    options.interpolate_offset = 0;
    const auto network = drawn(options);
    const auto wanted = expected(parameter(network, "pos_embed"), from, smooth_shares(from.rows, to.rows),
                                 smooth_shares(from.columns, to.columns));
    const auto given = network.positions(to.rows, to.columns);
    EXPECT_TRUE(torch::allclose(given, wanted, 1e-4, 1e-5))
        << from.rows << "x" << from.columns << " to " << to.rows << "x" << to.columns << ": off by "
        << (given - wanted).abs().max().item<float>();
  }
}

TEST(Positions, OfARectangleAtItsOwnGridAreTheTableItself) {
  const auto network = drawn(options_of(3, 5));
  EXPECT_EQ(network.own_grid(), (Grid{3, 5}));
  EXPECT_TRUE(network.positions(3, 5).is_same(parameter(network, "pos_embed")));
  // As many patches in another shape are not the same grid.
  EXPECT_FALSE(torch::allclose(network.positions(5, 3), parameter(network, "pos_embed"), 1e-3, 1e-3));
}

TEST(Rectangles, PatchesAreGivenRowByRow) {
  const auto network = drawn(options_of(3, 5));
  const auto images = torch::randn({2, 3, 3 * kPatch, 5 * kPatch});
  const auto before = network.forward_features(images);
  ASSERT_EQ(before.patches_BND.sizes(), (torch::IntArrayRef{2, 15, kWidth}));
  auto changed = images.clone();
  // Row 1, column 4 is patch 9. In the raw tokens it changes most: the others only see it.
  changed.slice(2, kPatch, 2 * kPatch).slice(3, 4 * kPatch, 5 * kPatch).add_(5);
  const auto moved =
      (network.forward_features(changed).prenorm_BTD - before.prenorm_BTD).slice(1, 1).norm(2, -1)[0];
  EXPECT_EQ(moved.argmax().item<std::int64_t>(), 9);
}

TEST(Rectangles, SidesThatThePatchDoesNotDivideAreRefusedUnlessAskedFor) {
  auto network = drawn(options_of(3, 5));
  for (const auto& [height, width] : {std::pair{12, 21}, std::pair{13, 20}, std::pair{3, 20}}) {
    const auto images = torch::zeros({1, 3, height, width});
    try {
      network.forward_features(images);
      ADD_FAILURE() << height << "x" << width << " was taken";
    } catch (const std::invalid_argument& error) {
      EXPECT_THAT(error.what(), HasSubstr("must be multiples of 4"));
    }
    EXPECT_THROW(network.last_attention(images), std::invalid_argument);
    EXPECT_THROW(network.intermediate_layers(images, {0}), std::invalid_argument);
    EXPECT_THROW(network.grid_of(height, width), std::invalid_argument);
  }
  for (const auto policy : {SidePolicy::kResize, SidePolicy::kPad}) {
    network.set_side_policy(policy);
    EXPECT_NO_THROW(network.forward_features(torch::zeros({1, 3, 3, 21})));
    EXPECT_THROW(network.forward_features(torch::zeros({1, 3, 0, 20})), std::invalid_argument);
  }
}

TEST(Rectangles, PaddingIsZerosAtRightAndBottom) {
  auto network = drawn(options_of(3, 5));
  network.set_side_policy(SidePolicy::kPad);
  const auto images = torch::randn({2, 3, 10, 17});
  auto padded = torch::zeros({2, 3, 12, 20});
  padded.slice(2, 0, 10).slice(3, 0, 17).copy_(images);
  EXPECT_EQ(network.grid_of(10, 17), (Grid{3, 5}));
  const auto given = network.forward_features(images), wanted = network.forward_features(padded);
  EXPECT_TRUE(torch::equal(given.prenorm_BTD, wanted.prenorm_BTD));
  EXPECT_TRUE(torch::equal(given.patches_BND, wanted.patches_BND));
  EXPECT_TRUE(torch::equal(network.last_attention(images), network.last_attention(padded)));
}

TEST(Rectangles, ResizingGoesToTheNearestMultipleAsTheSumsSay) {
  auto network = drawn(options_of(3, 5));
  network.set_side_policy(SidePolicy::kResize);
  EXPECT_EQ(network.grid_of(9, 17), (Grid{2, 4}));
  EXPECT_EQ(network.grid_of(10, 18), (Grid{3, 5}));
  EXPECT_EQ(network.grid_of(11, 19), (Grid{3, 5}));
  EXPECT_EQ(network.grid_of(1, 20), (Grid{1, 5}));
  const auto images = torch::randn({2, 3, 9, 19});
  const auto resized = torch::einsum("ri,cj,bkij->bkrc",
                                     {smooth_shares(9, 8), smooth_shares(19, 20), images.to(torch::kFloat64)})
                           .to(torch::kFloat32);
  const auto given = network.forward_features(images), wanted = network.forward_features(resized);
  EXPECT_TRUE(torch::allclose(given.patches_BND, wanted.patches_BND, 1e-4, 1e-4))
      << "off by " << (given.patches_BND - wanted.patches_BND).abs().max().item<float>();
  EXPECT_FALSE(torch::allclose(given.patches_BND, network.forward_features(images.slice(2, 0, 8)).patches_BND,
                               1e-2, 1e-2));
}

TEST(Rectangles, NoPolicyTouchesImagesThatFit) {
  const auto images = torch::randn({1, 3, 12, 20});
  for (const auto policy : {SidePolicy::kRefuse, SidePolicy::kResize, SidePolicy::kPad})
    EXPECT_TRUE(with_fitted_sides(images, kPatch, policy).is_same(images));
  EXPECT_EQ(side_policy_of("pad"), SidePolicy::kPad);
  EXPECT_THROW(side_policy_of("crop"), std::invalid_argument);
}

TEST(Rectangles, GroupsOfSeveralShapesGoTogetherAsApart) {
  const auto network = drawn(options_of(3, 5));
  const auto wide = torch::randn({2, 3, 8, 24}), high = torch::randn({1, 3, 20, 4});
  const auto together = network.forward({{wide, {}}, {high, {}}});
  EXPECT_TRUE(
      torch::allclose(together[0].patches_BND, network.forward_features(wide).patches_BND, 1e-4, 1e-5));
  EXPECT_TRUE(
      torch::allclose(together[1].patches_BND, network.forward_features(high).patches_BND, 1e-4, 1e-5));
}

TEST(Rectangles, ATableNeedsWholePatches) {
  auto options = options_of(3, 5);
  options.image_width = 21;
  EXPECT_THROW(VisionTransformer{options}, std::invalid_argument);
}

}  // namespace
}  // namespace paddock::model
