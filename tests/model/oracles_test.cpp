// Numbers worked out by hand or in double precision apart from this code: schedules of the published recipe, multipliers,
// positions of a known table, losses of a few rows.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <tuple>

#include "model/adamw.h"
#include "model/cross_entropy.h"
#include "model/ibot_loss.h"
#include "model/schedules.h"
#include "model/vision_transformer.h"

namespace paddock::model {
namespace {

constexpr std::int64_t kSteps = 625'000;  // of the vitl14 recipe, at batch 3,072

TEST(Schedules, FollowThePublishedRecipe) {
  const double peak = scaled_learning_rate(2e-4, 3072);
  EXPECT_NEAR(peak, 3.464101615e-4, 1e-13);
  const CosineSchedule lr{peak, 1e-6, kSteps, 100'000};
  for (const auto& [step, wanted] : {std::pair{0, 0.},
                                     {1, 3.464136e-9},
                                     {50'000, 1.732068e-4},
                                     {99'999, 3.464102e-4},
                                     {100'000, 3.464102e-4},
                                     {362'500, 1.737051e-4},
                                     {624'999, 1.000000003e-6}})
    EXPECT_NEAR(lr.at(step), wanted, 1e-6 * wanted) << step;
  const CosineSchedule decay{.04, .2, kSteps};
  for (const auto& [step, wanted] :
       {std::pair{0, .04}, {50'000, .042513347}, {100'000, .049895466}, {362'500, .139895191}})
    EXPECT_NEAR(decay.at(step), wanted, 1e-9) << step;
  EXPECT_DOUBLE_EQ(decay.at(kSteps), .2);
  const CosineSchedule momentum{.994, 1, kSteps};
  for (const auto& [step, wanted] :
       {std::pair{0, .994}, {50'000, .994094251}, {100'000, .994371080}, {362'500, .997746070}})
    EXPECT_NEAR(momentum.at(step), wanted, 1e-9) << step;
  const CosineSchedule temperature{.07, .07, 37'500, 37'500, .04};
  for (const auto& [step, wanted] :
       {std::pair{0, .04}, {1, .0400008}, {18'750, .0550004}, {37'500, .07}, {kSteps, .07}})
    EXPECT_NEAR(temperature.at(step), wanted, 1e-8) << step;
}

TEST(LearningRateMultipliers, FallByATenthABlock) {
  const LayerwiseDecay layers{.9, .2, 24};
  for (const auto& [name, wanted] : {std::pair{"patch_embed.proj.weight", .014357960},
                                     {"pos_embed", .071789799},
                                     {"cls_token", .071789799},
                                     {"mask_token", .071789799},
                                     {"register_tokens", .071789799},
                                     {"blocks.0.attn.qkv.weight", .079766443},
                                     {"blocks.23.mlp.fc1.weight", .9},
                                     {"norm.weight", 1.}})
    EXPECT_NEAR(multipliers_of(std::string("backbone.") + name, layers).lr, wanted, 1e-9) << name;
  EXPECT_EQ(multipliers_of("dino_head.mlp.0.weight", layers).lr, 1);
}

// The table sin(0.3·y) + cos(0.2·x) of 37×37 patches.
VisionTransformer with_known_positions(bool is_antialiased, double offset) {
  VisionTransformerOptions options;
  options.image_height = options.image_width = 518;
  options.embed_dim = 8;
  options.depth = 1;
  options.heads = 1;
  options.interpolate_antialias = is_antialiased;
  options.interpolate_offset = offset;
  VisionTransformer network(options);
  network.initialize(1);
  const torch::NoGradGuard no_grad;
  const auto steps = torch::arange(37, torch::kFloat32);
  const auto table = (steps * .3).sin().unsqueeze(1) + (steps * .2).cos().unsqueeze(0);
  for (auto& [name, tensor] : network.parameters())
    if (name == "pos_embed")
      torch::Tensor(tensor).slice(1, 1).copy_(table.view({1, 37 * 37, 1}).expand({1, 37 * 37, 8}));
  return network;
}

TEST(Positions, AreResizedAsTheReleasedModelsDoIt) {
  const auto expect = [](const VisionTransformer& network, std::int64_t rows, std::int64_t columns,
                         const std::vector<std::tuple<std::int64_t, std::int64_t, double>>& wanted) {
    const auto table = network.positions(rows, columns);
    ASSERT_EQ(table.size(1), 1 + rows * columns);
    for (const auto& [y, x, value] : wanted)
      EXPECT_NEAR(table[0][1 + y * columns + x][5].item<double>(), value, 2e-5) << y << ' ' << x;
  };
  const auto by_offset = with_known_positions(false, .1);
  expect(by_offset, 16, 16, {{0, 0, 1.160256}, {3, 5, .013872}, {15, 15, -.171430}, {7, 12, -.149947}});
  expect(by_offset, 20, 30, {{0, 0, 1.099314}, {19, 29, -.302226}, {7, 12, -1.747122}});
  expect(with_known_positions(false, 0), 16, 16,
         {{0, 0, 1.162381}, {3, 5, -.005050}, {15, 15, -.239068}, {7, 12, -.119633}});
  expect(with_known_positions(true, 0), 16, 16,
         {{0, 0, 1.199805}, {3, 5, -.008926}, {15, 15, -.195262}, {7, 12, -.117348}});
}

TEST(StochasticDepth, KeepsTheWholeNumberBelowTheShareAndNeverNone) {
  for (const auto& [batch, rate, kept] : {std::tuple{64, .3, 44},
                                          {128, .3, 89},
                                          {512, .3, 358},
                                          {24, .4, 14},
                                          {96, .4, 57},
                                          {2, .4, 1},
                                          {1, .4, 1}})
    EXPECT_EQ(kept_count(batch, rate), kept) << batch << ' ' << rate;
}

TEST(SoftCrossEntropy, GivesTheHandComputedValue) {
  const auto targets = torch::tensor({.027432, .729744, .242824, .101287, .002130, .896583, .972738, .020455,
                                      .006807, .027432, .729744, .242824},
                                     torch::kFloat32)
                           .view({4, 3});
  const auto scores =
      torch::tensor({.1, .2, -.1, 0., .3, .05, .2, -.2, .1, 0., 0., .1}, torch::kFloat32).view({4, 3});
  const auto mean = torch::full({4}, .25);
  EXPECT_NEAR(soft_cross_entropy(scores, targets, mean, .1).item<double>(), 1.374479850, 2e-5);
}

// Three images with 2, 0 and 1 hidden patches: each image counts once, and so does the one without any.
TEST(IbotLoss, WeighsImagesNotPatches) {
  const auto targets = torch::eye(3),
             scores = torch::tensor({.3, .1, .0, .2, .4, .1, .0, .1, .2}, torch::kFloat32).view({3, 3});
  const auto weights = torch::tensor({.5, .5, 1.}, torch::kFloat32);
  const auto each = -(scores / .1).log_softmax(1).diagonal();
  const double wanted = ((each[0] + each[1]) / 2 + each[2]).item<double>() / 3;
  EXPECT_NEAR(ibot_loss(scores, targets, weights, 3, .1).item<double>(), wanted, 1e-6);
}

TEST(Parameters, AreAsManyAsThePublishedNetworksHave) {
  struct Published {
    std::int64_t width, depth, heads;
    const char* ffn;
    std::int64_t parameters, tensors;
  };
  for (const Published& network : {Published{384, 12, 6, "mlp", 22'056'576, 175},
                                   {768, 12, 12, "mlp", 86'580'480, 175},
                                   {1024, 24, 16, "mlp", 304'368'640, 343},
                                   {1536, 40, 24, "swiglu", 1'136'480'768, 567}}) {
    VisionTransformerOptions options;
    options.image_height = options.image_width = 518;
    options.embed_dim = network.width;
    options.depth = network.depth;
    options.heads = network.heads;
    options.ffn = network.ffn;
    const auto parameters = VisionTransformer(options, torch::kMeta).parameters();
    EXPECT_EQ(count_parameters(parameters), network.parameters);
    EXPECT_EQ(static_cast<std::int64_t>(parameters.size()), network.tensors);
    options.registers = 4;
    EXPECT_EQ(count_parameters(VisionTransformer(options, torch::kMeta).parameters()),
              network.parameters + 4 * network.width);
  }
}

}  // namespace
}  // namespace paddock::model
