// Blocks without gradients, from packed weights, against LibTorch's operations; and what their bits may not depend on.
#include "model/packed_blocks.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include "tests/model/block_cases.h"

namespace paddock::model {
namespace {

BlockRun run_of(const VisionTransformerOptions& options) {
  BlockRun run;
  run.heads = options.heads;
  return run;
}

BlockWeights block_of_width(std::int64_t width, std::int64_t hidden) {
  BlockWeights block;
  block.proj_weight = torch::zeros({width, width});
  block.out_weight = torch::zeros({width, hidden});
  return block;
}

class PackedBlocks : public ::testing::TestWithParam<Case> {};

TEST_P(PackedBlocks, GiveTheFeaturesOfLibTorchsOperations) {
  const torch::NoGradGuard no_grad;
  const auto fast = network_of(GetParam(), true), slow = network_of(GetParam(), false);
  torch::manual_seed(2);
  // 50 and 10 tokens: neither fills slivers or blocks of queries; 5 images leave some over for any number of threads.
  const std::vector<ImageGroup> groups{{torch::randn({5, 3, 56, 56}), {}},
                                       {torch::randn({3, 3, 24, 24}), {}}};
  for (const int threads : {1, 2, 3}) {
    const Threads guard(threads);
    const auto given = fast.forward(groups), wanted = slow.forward(groups);
    for (std::size_t g = 0; g < groups.size(); ++g)
      EXPECT_LT(relative_distance(given[g].prenorm_BTD, wanted[g].prenorm_BTD), 1e-5) << threads << " " << g;
  }
}

TEST_P(PackedBlocks, GiveTheSameBitsForAnyThreadsAndNeighbours) {
  const torch::NoGradGuard no_grad;
  const auto network = network_of(GetParam(), true);
  torch::manual_seed(2);
  const auto images = torch::randn({5, 3, 56, 56});
  torch::Tensor first;
  for (const int threads : {1, 2, 3}) {
    const Threads guard(threads);
    const auto together = network.forward_features(images).prenorm_BTD;
    if (!first.defined()) first = together;
    EXPECT_TRUE(torch::equal(together, first)) << threads;
    EXPECT_TRUE(torch::equal(network.forward_features(images.slice(0, 2, 3)).prenorm_BTD[0], first[2]))
        << threads;
  }
}

TEST_P(PackedBlocks, GivePickedRowsAsTheWholeGivesThem) {
  const torch::NoGradGuard no_grad;
  const auto fast = network_of(GetParam(), true), slow = network_of(GetParam(), false);
  torch::manual_seed(2);
  const auto images = torch::randn({3, 3, 56, 56});
  const auto index = torch::tensor({0, 48, 49, 100, 5}, torch::kInt64);
  const auto given = fast.forward_picked({{images, {}}}, index),
             wanted = slow.forward_picked({{images, {}}}, index);
  EXPECT_LT(relative_distance(given.patches_MD, wanted.patches_MD), 1e-5);
  EXPECT_LT(relative_distance(given.cls_BD[0], wanted.cls_BD[0]), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(
    Options, PackedBlocks,
    ::testing::Values(Case{"Plain", [](auto&) {}},
                      Case{"Gated", [](auto& options) { options.ffn = "swiglu"; }},
                      Case{"QuickGelu", [](auto& options) { options.activation = "quick_gelu"; }},
                      Case{"WithoutLayerScale", [](auto& options) { options.layerscale = 0; }},
                      Case{"Registers", [](auto& options) { options.registers = 3; }},
                      // Sums over depth in several stretches.
                      Case{"WideFeedForward", [](auto& options) { options.ffn_hidden = 1600; }}),
    [](const auto& each) { return each.param.name; });

TEST(PackedBlocks, AreRefusedWhereVectorsDoNotFit) {
  BlockRun run = run_of(VisionTransformerOptions{});
  run.heads = 3;
  EXPECT_FALSE(can_run_packed({block_of_width(66, 264)}, run));
  EXPECT_FALSE(can_run_packed({block_of_width(96, 101)}, run));
  run.kept.emplace_back();
  EXPECT_FALSE(can_run_packed({block_of_width(96, 384)}, run));
}

TEST(PackedBlocks, LeaveTheirInputAlone) {
  const torch::NoGradGuard no_grad;
  const auto network = network_of({"", [](auto&) {}}, true);
  const auto images = torch::randn({2, 3, 56, 56});
  const auto raw = network.intermediate_layers(images, {0, 2}, false);
  const auto alone = network.intermediate_layers(images, {0}, false);
  EXPECT_TRUE(torch::equal(raw[0].patches_BND, alone[0].patches_BND));
}

}  // namespace
}  // namespace paddock::model
