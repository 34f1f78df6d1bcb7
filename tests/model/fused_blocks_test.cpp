// The CPU's fast form of the blocks against LibTorch's operations: outputs, gradients of everything, any
// number of threads.
#include <gtest/gtest.h>
#include <torch/types.h>

#include "tests/model/block_cases.h"

namespace paddock::model {
namespace {

class FusedBlocks : public ::testing::TestWithParam<Case> {};

TEST_P(FusedBlocks, GiveTheOutputsAndGradientsOfLibTorchsOperations) {
  const auto fused = network_of(GetParam(), true);
  const auto plain = network_of(GetParam(), false);
  const auto fast = train(fused, GetParam().little), slow = train(plain, GetParam().little);
  for (std::size_t i = 0; i < slow.outputs.size(); ++i)
    EXPECT_LT(relative_distance(fast.outputs[i], slow.outputs[i]), 1e-5) << i;
  ASSERT_EQ(fast.gradients.size(), slow.gradients.size());
  for (std::size_t i = 0; i < slow.gradients.size(); ++i) {
    const auto& [name, wanted] = slow.gradients[i];
    const auto& gradient = fast.gradients[i].second;
    EXPECT_EQ(fast.gradients[i].first, name);
    if (name.ends_with("qkv.bias")) {
      // The keys' bias has no effect: the fast form's gradient of it is 0, the other's is rounding.
      EXPECT_EQ(gradient.chunk(3)[1].abs().max().item<double>(), 0) << name;
      EXPECT_LT((gradient - wanted).abs().max().item<double>(), 1e-4 * wanted.abs().max().item<double>())
          << name;
      continue;
    }
    EXPECT_LT(relative_distance(gradient, wanted), 1e-4) << name;
  }
}

// Against float32, as the root of the mean square.
double distance_to(const torch::Tensor& wanted, const torch::Tensor& given) {
  return ((given - wanted).norm() / (wanted.norm() + 1e-20)).item<double>();
}

TEST_P(FusedBlocks, AreAsCloseToFloat32InBfloat16AsLibTorchsOperationsAre) {
  const auto outcome = [&](bool is_fused, torch::ScalarType type) {
    auto network = network_of(GetParam(), is_fused);
    network.set_compute_type(type);
    return train(network, GetParam().little);
  };
  const auto wanted = outcome(false, torch::kFloat32), slow = outcome(false, torch::kBFloat16),
             fast = outcome(true, torch::kBFloat16);
  ASSERT_EQ(fast.gradients.size(), wanted.gradients.size());
  for (std::size_t i = 0; i < wanted.outputs.size(); ++i) {
    const double theirs = distance_to(wanted.outputs[i], slow.outputs[i]);
    EXPECT_GT(theirs, 1e-4) << "nothing was rounded";
    EXPECT_LT(distance_to(wanted.outputs[i], fast.outputs[i]), 1.5 * theirs) << i;
  }
  for (std::size_t i = 0; i < wanted.gradients.size(); ++i) {
    const auto& [name, gradient] = wanted.gradients[i];
    const double theirs = distance_to(gradient, slow.gradients[i].second);
    EXPECT_LT(distance_to(gradient, fast.gradients[i].second), 1.5 * theirs + 2e-3) << name;
  }
}

void expect_same_bits_for_any_number_of_threads(const Case& each, torch::ScalarType type) {
  std::vector<Outcome> outcomes;
  for (const int threads : {1, 2, 3, 5}) {
    const Threads guard(threads);
    auto network = network_of(each, true);
    network.set_compute_type(type);
    outcomes.push_back(train(network, each.little));
  }
  for (std::size_t other = 1; other < outcomes.size(); ++other) {
    for (std::size_t i = 0; i < outcomes[0].outputs.size(); ++i)
      EXPECT_TRUE(torch::equal(outcomes[0].outputs[i], outcomes[other].outputs[i])) << other << " " << i;
    for (std::size_t i = 0; i < outcomes[0].gradients.size(); ++i) {
      const auto& [name, gradient] = outcomes[0].gradients[i];
      if (name.starts_with("blocks.")) {
        EXPECT_TRUE(torch::equal(gradient, outcomes[other].gradients[i].second)) << other << " " << name;
      }
    }
  }
}

TEST_P(FusedBlocks, GiveTheSameBitsForAnyNumberOfThreads) {
  expect_same_bits_for_any_number_of_threads(GetParam(), torch::kFloat32);
  expect_same_bits_for_any_number_of_threads(GetParam(), torch::kBFloat16);
}

void wide_heads(VisionTransformerOptions& options) {
  options.embed_dim = 256;
  options.heads = 2;
}

INSTANTIATE_TEST_SUITE_P(
    Options, FusedBlocks,
    ::testing::Values(Case{"Plain", [](auto&) {}},
                      Case{"Gated", [](auto& options) { options.ffn = "swiglu"; }},
                      Case{"QuickGelu", [](auto& options) { options.activation = "quick_gelu"; }},
                      Case{"WithoutLayerScale", [](auto& options) { options.layerscale = 0; }},
                      Case{"StochasticDepth", [](auto& options) { options.drop_path = .5; }},
                      Case{"Registers", [](auto& options) { options.registers = 3; }},
                      Case{"OddWidths",
                           [](auto& options) {
                             options.embed_dim = 66;
                             options.ffn_hidden = 101;
                           }},
                      // Heads wider than there are tokens: 26, and 37, of 128 numbers.
                      Case{"WideHeads", wide_heads, 40}, Case{"WiderThanRows", wide_heads, 48}),
    [](const auto& each) { return each.param.name; });

TEST(FusedBlocks, KeepNothingForASecondBackwardPass) {
  const auto network = network_of({"", [](auto&) {}}, true);
  const auto loss = network.forward_features(torch::randn({1, 3, 56, 56})).cls_BD.sum();
  loss.backward({}, true);
  EXPECT_THROW(loss.backward(), std::logic_error);
}

}  // namespace
}  // namespace paddock::model
