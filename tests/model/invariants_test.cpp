// What must hold whatever the numbers are: fast forms against their reference forms, and the laws of the paper.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <ATen/Functions.h>

#include <algorithm>
#include <string>

#include "model/cross_entropy.h"
#include "model/koleo_loss.h"
#include "model/sinkhorn_knopp.h"
#include "model/vision_transformer.h"

namespace paddock::model {
namespace {

double distance(const torch::Tensor& a, const torch::Tensor& b) {
  return (a.to(torch::kFloat64) - b.to(torch::kFloat64)).abs().max().item<double>();
}

VisionTransformerOptions small() {
  VisionTransformerOptions options;
  options.image_height = options.image_width = 32;
  options.patch_size = 8;
  options.embed_dim = 32;
  options.depth = 3;
  options.heads = 2;
  options.layerscale = .5;
  return options;
}

VisionTransformer initialized(const VisionTransformerOptions& options) {
  VisionTransformer network(options);
  network.initialize(3);
  return network;
}

TEST(SinkhornKnopp, EqualsItsReferenceFormAndSurvivesLargeScores) {
  at::manual_seed(1);
  OneRank ranks;
  const auto scores = torch::randn({12, 40});
  EXPECT_LT(distance(sinkhorn_knopp(scores, .07, 3, ranks), sinkhorn_knopp_reference(scores, .07, 3)), 1e-5);
  const auto large = sinkhorn_knopp(scores * 300, .04, 3, ranks);
  EXPECT_TRUE(large.isfinite().all().item<bool>());
  EXPECT_EQ(sinkhorn_knopp(torch::empty({0, 40}), .07, 3, ranks).size(0), 0);
}

// Rows and columns beyond a block of either, and no multiples of one.
TEST(SinkhornKnopp, OnACpuAndOnAGpuItIsTheReferenceFormInAnySizeAndType) {
  at::manual_seed(1);
  OneRank alone;
  const Shards shards(alone, 3);
  for (const std::int64_t prototypes : {1, 40, 4'099, 9'000}) {
    for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
      const auto scores = torch::randn({101, prototypes}).to(type);
      const auto wanted = sinkhorn_knopp_reference(scores, .07, 3);
      // Shards of uneven sizes, one without a row.
      const std::vector<torch::Tensor> parts{scores.slice(0, 0, 67), scores.slice(0, 67, 67),
                                             scores.slice(0, 67)};
      for (const auto form : {SinkhornForm::kOfDevice, SinkhornForm::kPlain}) {
        const auto found = torch::cat(sinkhorn_knopp(parts, .07, 3, shards, form));
        EXPECT_LT(distance(found, wanted), 2e-5)
            << prototypes << " prototypes, form " << static_cast<int>(form);
      }
    }
  }
}

TEST(SinkhornKnopp, GivesTheHandComputedValues) {
  OneRank ranks;
  auto scores = torch::empty({4, 3});
  for (int b = 0; b < 4; ++b) {
    for (int k = 0; k < 3; ++k) scores[b][k] = .1 * ((7 * b + 3 * k) % 5);
  }
  const auto wanted = torch::tensor({.027432, .729744, .242824, .101287, .002130, .896583, .972738, .020455,
                                     .006807, .027432, .729744, .242824},
                                    torch::kFloat64)
                          .view({4, 3});
  EXPECT_LT(distance(sinkhorn_knopp(scores, .07, 3, ranks), wanted), 1e-6);
}

TEST(SoftCrossEntropy, EqualsItsReferenceFormInValueAndGradient) {
  at::manual_seed(2);
  for (const std::int64_t prototypes : {1, 17, 64, 65'539}) {
    for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
      const auto targets = torch::rand({6, prototypes}).pow(8), weights = torch::rand({6});
      // Far below 0, so that a 0 beyond the row's end would be the greatest.
      auto fast = (torch::randn({6, prototypes}) - 40).to(type).set_requires_grad(true);
      auto slow = fast.detach().clone().set_requires_grad(true);
      const auto a = soft_cross_entropy(fast, targets, weights, .1),
                 b = soft_cross_entropy_reference(slow, targets, weights, .1);
      EXPECT_NEAR(a.item<double>(), b.item<double>(), 1e-5 * b.item<double>() + 1e-6) << prototypes;
      (a * 3).backward();
      (b * 3).backward();
      const double scale = slow.grad().abs().max().item<double>() + 1e-6;
      EXPECT_LT(distance(fast.grad(), slow.grad()) / scale, type == torch::kFloat32 ? 1e-5 : 1e-2)
          << prototypes;
    }
  }
}

TEST(SoftCrossEntropy, OfRowsWithANanOrAnInfinityIsNoNumber) {
  const auto targets = torch::rand({2, 40}), weights = torch::ones({2});
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    for (const std::int64_t place : {0, 20, 39}) {
      auto scores = torch::randn({2, 40});
      scores[1][place] = bad;
      EXPECT_FALSE(std::isfinite(soft_cross_entropy(scores, targets, weights, .1).item<double>())) << place;
    }
  }
}

TEST(KoleoLoss, GivesTheHandComputedValueAndStaysFiniteForEqualRows) {
  const auto rows =
      torch::tensor({1., 0., 0., 0., 1., 0., 1., 1., 1., 2., 1., 0.}, torch::kFloat32).view({4, 3});
  EXPECT_NEAR(koleo_loss(rows).item<double>(), .509399426, 1e-6);
  auto equal = torch::ones({2, 3}, torch::kFloat32).set_requires_grad(true);
  koleo_loss(equal).backward();
  EXPECT_TRUE(equal.grad().isfinite().all().item<bool>());
  EXPECT_EQ(koleo_loss(torch::ones({1, 3})).item<double>(), 0);
}

TEST(VisionTransformer, PackedGroupsEqualSeparatePasses) {
  at::manual_seed(4);
  const auto network = initialized(small());
  const auto large = torch::randn({2, 3, 32, 32}), little = torch::randn({5, 3, 16, 16});
  const auto masks = torch::rand({2, 16}).lt(.4);
  const auto packed = network.forward({{large, masks}, {little, {}}});
  const auto alone = network.forward_features(large, masks), other = network.forward_features(little);
  EXPECT_LT(distance(packed[0].patches_BND, alone.patches_BND), 1e-5);
  EXPECT_LT(distance(packed[1].cls_BD, other.cls_BD), 1e-5);
}

TEST(VisionTransformer, PickedRowsEqualThoseOfAWholePass) {
  at::manual_seed(5);
  auto options = small();
  options.registers = 2;
  const auto network = initialized(options);
  const auto large = torch::randn({3, 3, 32, 32}), little = torch::randn({4, 3, 16, 16});
  const auto index = torch::tensor({0, 5, 16, 47}, torch::kInt64);
  const auto whole = network.forward({{large, {}}, {little, {}}});
  const auto picked = network.forward_picked({{large, {}}, {little, {}}}, index);
  EXPECT_LT(distance(picked.cls_BD[0], whole[0].cls_BD), 1e-5);
  EXPECT_LT(distance(picked.cls_BD[1], whole[1].cls_BD), 1e-5);
  EXPECT_LT(distance(picked.patches_MD, whole[0].patches_BND.flatten(0, 1).index_select(0, index)), 1e-5);
}

// With the other branch's gain at zero a block's output is its input plus what one branch adds.
TEST(VisionTransformer, StochasticDepthScalesTheRowsItKeepsAndLeavesTheOthersAlone) {
  at::manual_seed(8);
  auto options = small();
  options.depth = 1;
  options.drop_path = .4;
  const std::vector<std::vector<std::int64_t>> kept_of_group{{1, 2, 4}, {0, 3}};
  const std::vector<ImageGroup> groups{{torch::randn({5, 3, 32, 32}), {}},
                                       {torch::randn({4, 3, 16, 16}), {}}};
  for (const int branch : {0, 1}) {
    const auto network = initialized(options);
    for (const auto& [name, tensor] : network.parameters()) {
      const bool is_other = name.find(branch == 0 ? ".ls2" : ".ls1") != std::string::npos;
      if (is_other) torch::Tensor(tensor).zero_();
    }
    std::int64_t asked = 0;
    const KeptSamples kept_samples = [&](std::int64_t block, int, std::int64_t group, std::int64_t batch,
                                         std::int64_t kept) {
      const auto& samples = kept_of_group[static_cast<std::size_t>(group)];
      EXPECT_EQ(block, 0);
      EXPECT_EQ(batch, groups[static_cast<std::size_t>(group)].images_BCHW.size(0));
      EXPECT_EQ(kept, static_cast<std::int64_t>(samples.size()));
      ++asked;
      return samples;
    };
    const auto dropped = network.forward(groups, kept_samples), whole = network.forward(groups);
    EXPECT_EQ(asked, 4) << "each group for each branch";
    for (const auto& [name, tensor] : network.parameters()) {
      if (name.find(".ls") != std::string::npos) torch::Tensor(tensor).zero_();
    }
    const auto before = network.forward(groups);  // both gains zero: what goes into the block
    for (std::size_t group = 0; group < groups.size(); ++group) {
      const auto& in = before[group].prenorm_BTD;
      const auto added = whole[group].prenorm_BTD - in;
      EXPECT_GT(added.abs().max().item<double>(), 1e-3);
      const auto& kept = kept_of_group[group];
      for (std::int64_t row = 0; row < in.size(0); ++row) {
        const bool is_kept = std::find(kept.begin(), kept.end(), row) != kept.end();
        const double scale = is_kept ? static_cast<double>(in.size(0)) / static_cast<double>(kept.size()) : 0;
        EXPECT_LT(distance(dropped[group].prenorm_BTD[row], in[row] + scale * added[row]),
                  is_kept ? 1e-5 : 1e-12)
            << "branch " << branch << " group " << group << " row " << row;
      }
    }
  }
}

TEST(VisionTransformer, StochasticDepthIsLeftOutWithoutDraws) {
  at::manual_seed(6);
  auto options = small();
  const auto images = torch::randn({3, 3, 32, 32});
  const auto plain = initialized(options).forward_features(images).cls_BD;
  options.drop_path = .4;
  const auto network = initialized(options);
  EXPECT_LT(distance(network.forward({{images, {}}}).front().cls_BD, plain), 1e-6);
  EXPECT_EQ(kept_count(64, .3), 44);
  EXPECT_EQ(kept_count(24, .4), 14);
  EXPECT_EQ(kept_count(1, .4), 1);
}

TEST(VisionTransformer, Bfloat16StaysCloseToFloat32AndItsGradientsReachTheMasters) {
  at::manual_seed(7);
  auto network = initialized(small());
  const auto images = torch::randn({2, 3, 32, 32});
  const auto wide = network.forward_features(images).cls_BD;
  network.set_compute_type(torch::kBFloat16);
  for (auto& [name, tensor] : network.parameters()) torch::Tensor(tensor).set_requires_grad(true);
  const auto narrow = network.forward_features(images).cls_BD;
  EXPECT_LT(distance(narrow, wide), .15);
  narrow.sum().backward();
  for (const auto& [name, tensor] : network.parameters()) {
    if (name == "mask_token") continue;
    ASSERT_TRUE(tensor.grad().defined()) << name;
    EXPECT_EQ(tensor.grad().scalar_type(), torch::kFloat32) << name;
  }
}

TEST(VisionTransformer, HasThePublishedNumberOfParameters) {
  VisionTransformerOptions options;
  options.image_height = options.image_width = 518;
  EXPECT_EQ(count_parameters(VisionTransformer(options).parameters()), 22'056'576);
  options.registers = 4;
  EXPECT_EQ(count_parameters(VisionTransformer(options).parameters()), 22'058'112);
  EXPECT_EQ(VisionTransformer(options).parameters().size(), 176u);
  EXPECT_EQ(swiglu_hidden(1024), 2736);
}

TEST(Weights, ThatDoNotFitAreAllNamed) {
  const auto network = initialized(small());
  TensorMap source;
  for (const auto& [name, tensor] : network.parameters()) source.emplace(name, tensor.clone());
  source.erase("cls_token");
  source["norm.bias"] = torch::zeros({7});
  source["stranger"] = torch::zeros({1});
  try {
    load_weights(network.parameters(), source);
    FAIL();
  } catch (const std::invalid_argument& error) {
    const std::string text = error.what();
    for (const char* part : {"missing cls_token", "norm.bias is [7], must be [32]", "unknown stranger"})
      EXPECT_NE(text.find(part), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace paddock::model
