// What ViTs of other methods do otherwise than DINOv2's – CLIP and I-JEPA – against a form written out here in float64.
// Letters as in model/vision_transformer.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <ATen/Functions.h>

#include <cmath>

#include "model/vision_transformer.h"

namespace paddock::model {
namespace {

using ::testing::HasSubstr;

VisionTransformerOptions small() {
  VisionTransformerOptions options;
  options.image_height = options.image_width = 32;
  options.patch_size = 8;
  options.embed_dim = 32;
  options.depth = 3;
  options.heads = 2;
  options.layerscale = 0;
  return options;
}

VisionTransformerOptions clip() {
  auto options = small();
  options.norm_epsilon = 1e-5;
  options.patch_bias = false;
  options.pre_norm = true;
  options.activation = "quick_gelu";
  options.ffn_hidden = 80;
  return options;
}

VisionTransformerOptions ijepa() {
  auto options = small();
  options.class_token = false;
  return options;
}

VisionTransformer drawn(const VisionTransformerOptions& options) {
  VisionTransformer network(options);
  network.initialize(7);
  torch::manual_seed(11);
  const torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : network.parameters())
    torch::Tensor(tensor).add_(torch::randn(tensor.sizes()), .3);
  return network;
}

std::vector<std::string> names_of(const VisionTransformer& network) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : network.parameters()) names.push_back(name);
  return names;
}

double distance(const torch::Tensor& a, const torch::Tensor& b) {
  return (a.to(torch::kFloat64) - b.to(torch::kFloat64)).abs().max().item<double>();
}

// The network on images of its own size, from the formulas and one image at a time: tokens after the final norm, [B, T, D].
class WrittenOut {
 public:
  explicit WrittenOut(const VisionTransformer& network) : options_(network.options()) {
    for (const auto& [name, tensor] : network.parameters()) p_.emplace(name, tensor.to(torch::kFloat64));
  }

  torch::Tensor operator()(const torch::Tensor& images_BCHW) const {
    std::vector<torch::Tensor> all;
    for (std::int64_t b = 0; b < images_BCHW.size(0); ++b) {
      torch::Tensor x = embedded(images_BCHW[b].to(torch::kFloat64));
      for (std::int64_t i = 0; i < options_.depth; ++i) {
        const std::string block = "blocks." + std::to_string(i) + ".";
        x = x + attended(block, normed(block + "norm1", x));
        const auto hidden = through(block + "mlp.fc1", normed(block + "norm2", x));
        const auto active = options_.activation == "quick_gelu"
                                ? hidden / (1 + (-1.702 * hidden).exp())
                                : hidden * .5 * (1 + torch::erf(hidden / std::sqrt(2.)));
        x = x + through(block + "mlp.fc2", active);
      }
      all.push_back(normed("norm", x));
    }
    return torch::stack(all);
  }

 private:
  torch::Tensor through(const std::string& name, const torch::Tensor& x) const {
    const auto product = x.matmul(p_.at(name + ".weight").t());
    return p_.contains(name + ".bias") ? product + p_.at(name + ".bias") : product;
  }
  torch::Tensor normed(const std::string& name, const torch::Tensor& x) const {
    const auto centred = x - x.mean(-1, true);
    const auto variance = (centred * centred).mean(-1, true);
    return centred / (variance + options_.norm_epsilon).sqrt() * p_.at(name + ".weight") +
           p_.at(name + ".bias");
  }
  torch::Tensor embedded(const torch::Tensor& image_CHW) const {
    const std::int64_t patch = options_.patch_size, side = options_.image_height / patch;
    const auto weight = p_.at("patch_embed.proj.weight").flatten(1);
    std::vector<torch::Tensor> tokens;
    if (p_.contains("cls_token")) tokens.push_back(p_.at("cls_token").flatten());
    for (std::int64_t y = 0; y < side; ++y) {
      for (std::int64_t x = 0; x < side; ++x) {
        const auto cut = image_CHW.slice(1, y * patch, (y + 1) * patch).slice(2, x * patch, (x + 1) * patch);
        tokens.push_back(weight.mv(cut.flatten()));
        if (p_.contains("patch_embed.proj.bias")) tokens.back() += p_.at("patch_embed.proj.bias");
      }
    }
    const auto all = torch::stack(tokens) + p_.at("pos_embed")[0];
    return p_.contains("norm_pre.weight") ? normed("norm_pre", all) : all;
  }
  torch::Tensor attended(const std::string& block, const torch::Tensor& x) const {
    const auto qkv = through(block + "attn.qkv", x).chunk(3, 1);
    const std::int64_t width = options_.embed_dim / options_.heads;
    std::vector<torch::Tensor> heads;
    for (std::int64_t h = 0; h < options_.heads; ++h) {
      const auto of = [&](int which) {
        return qkv[static_cast<std::size_t>(which)].slice(1, h * width, (h + 1) * width);
      };
      const auto scores = of(0).matmul(of(1).t()) / std::sqrt(static_cast<double>(width));
      heads.push_back(scores.softmax(1).matmul(of(2)));
    }
    return through(block + "attn.proj", torch::cat(heads, 1));
  }

  const VisionTransformerOptions options_;
  TensorMap p_;
};

TEST(OtherMethods, ClipIsComputedAsItsFormulasSay) {
  const auto network = drawn(clip());
  const auto images = torch::randn({2, 3, 32, 32});
  const auto wanted = WrittenOut(network)(images);
  const auto given = network.forward_features(images);
  EXPECT_LT(distance(given.cls_BD, wanted.select(1, 0)), 2e-5);
  EXPECT_LT(distance(given.patches_BND, wanted.slice(1, 1)), 2e-5);
}

TEST(OtherMethods, IjepaIsComputedWithoutClassTokenAndPooledByTheMeanOfItsPatches) {
  const auto network = drawn(ijepa());
  const auto images = torch::randn({2, 3, 32, 32});
  const auto wanted = WrittenOut(network)(images);
  const auto given = network.forward_features(images);
  ASSERT_EQ(given.patches_BND.sizes(), (torch::IntArrayRef{2, 16, 32}));
  EXPECT_EQ(given.prenorm_BTD.size(1), 16);
  EXPECT_LT(distance(given.patches_BND, wanted), 2e-5);
  EXPECT_LT(distance(given.cls_BD, wanted.mean(1)), 2e-5);
  EXPECT_EQ(given.registers_BRD.size(1), 0);
  const auto layers = network.intermediate_layers(images, {1, 2});
  EXPECT_TRUE(torch::equal(layers[1].patches_BND, given.patches_BND));
  EXPECT_TRUE(torch::equal(layers[1].cls_BD, given.cls_BD));
  EXPECT_GT(distance(layers[0].cls_BD, given.cls_BD), 1e-3);
}

TEST(OtherMethods, EveryOptionChangesWhatIsComputed) {
  const auto network = drawn(clip());
  const auto images = torch::randn({2, 3, 32, 32});
  const auto wanted = network.forward_features(images).cls_BD;
  auto options = clip();
  options.activation = "gelu";
  VisionTransformer other(options);
  const auto parameters = network.parameters();
  const TensorMap weights(parameters.begin(), parameters.end());
  load_weights(other.parameters(), weights);
  EXPECT_GT(distance(other.forward_features(images).cls_BD, wanted), 1e-3);
  options = clip();
  options.pre_norm = false;
  EXPECT_THROW(load_weights(VisionTransformer(options).parameters(), weights), std::invalid_argument);
}

TEST(OtherMethods, ParametersAreThoseOfTheOptions) {
  const auto of_clip = names_of(drawn(clip())), of_ijepa = names_of(drawn(ijepa()));
  EXPECT_THAT(of_clip, ::testing::IsSupersetOf({"cls_token", "norm_pre.weight", "norm_pre.bias"}));
  EXPECT_THAT(of_clip, ::testing::Not(::testing::Contains("patch_embed.proj.bias")));
  EXPECT_THAT(of_ijepa, ::testing::Not(::testing::Contains("cls_token")));
  EXPECT_THAT(of_ijepa, ::testing::Contains("patch_embed.proj.bias"));
  EXPECT_EQ(drawn(ijepa()).positions(4, 4).size(1), 16);
  EXPECT_EQ(drawn(ijepa()).positions(2, 3).sizes(), (torch::IntArrayRef{1, 6, 32}));
  // The initial values of the norm before the blocks are those of every norm.
  VisionTransformer fresh(clip());
  fresh.initialize(1);
  for (const auto& [name, tensor] : fresh.parameters()) {
    if (name == "norm_pre.weight") {
      EXPECT_TRUE(tensor.eq(1).all().item<bool>());
    }
    if (name == "norm_pre.bias") {
      EXPECT_TRUE(tensor.eq(0).all().item<bool>());
    }
  }
}

TEST(OtherMethods, PackedGroupsAndMasksWorkWithThem) {
  torch::manual_seed(4);
  for (const auto& options : {clip(), ijepa()}) {
    const auto network = drawn(options);
    const auto large = torch::randn({2, 3, 32, 32}), little = torch::randn({5, 3, 16, 24});
    const auto masks = torch::rand({2, 16}).lt(.4);
    const auto packed = network.forward({{large, masks}, {little, {}}});
    EXPECT_LT(distance(packed[0].patches_BND, network.forward_features(large, masks).patches_BND), 1e-5);
    EXPECT_LT(distance(packed[1].cls_BD, network.forward_features(little).cls_BD), 1e-5);
    EXPECT_GT(distance(packed[0].patches_BND, network.forward_features(large).patches_BND), 1e-3);
  }
  const auto network = drawn(clip());
  const auto images = torch::randn({3, 3, 32, 32});
  const auto index = torch::tensor({0, 5, 47}, torch::kInt64);
  const auto whole = network.forward_features(images);
  const auto picked = network.forward_picked({{images, {}}}, index);
  EXPECT_LT(distance(picked.cls_BD[0], whole.cls_BD), 1e-5);
  EXPECT_LT(distance(picked.patches_MD, whole.patches_BND.flatten(0, 1).index_select(0, index)), 1e-5);
}

TEST(OtherMethods, Bfloat16StaysCloseToFloat32) {
  for (const auto& options : {clip(), ijepa()}) {
    auto network = drawn(options);
    const auto images = torch::randn({2, 3, 32, 32});
    const auto wide = network.forward_features(images).patches_BND;
    network.set_compute_type(torch::kBFloat16);
    const auto narrow = network.forward_features(images).patches_BND;
    EXPECT_EQ(narrow.scalar_type(), torch::kFloat32);
    EXPECT_LT(distance(wide, narrow), .3);
    EXPECT_GT(distance(wide, narrow), 0);
  }
}

template <typename Call>
std::string refusal(Call call) {
  try {
    call();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing was refused";
}

TEST(OtherMethods, WhatNeedsAClassTokenOrAnotherActivationIsRefused) {
  const auto network = drawn(ijepa());
  const auto images = torch::randn({1, 3, 32, 32});
  EXPECT_THAT(refusal([&] {
                network.forward_picked({{images, {}}}, {});
              }),
              HasSubstr("training needs a class token"));
  EXPECT_THAT(refusal([&] { network.last_attention(images); }), HasSubstr("needs a class token"));
  auto options = small();
  options.activation = "relu";
  EXPECT_THAT(refusal([&] { const VisionTransformer made(options); }), HasSubstr("gelu or quick_gelu"));
  options.activation = "quick_gelu";
  options.ffn = "swiglu";
  EXPECT_THAT(refusal([&] { const VisionTransformer made(options); }), HasSubstr("of the mlp alone"));
}

}  // namespace
}  // namespace paddock::model
