// A rank that has only a slice of the float32 weights computes the same bits from its copies.
#include "model/weight_copies.h"

#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>

#include "model/flat_parameters.h"
#include "tests/model/block_cases.h"
#include "tests/model/ranks_in_memory.h"

namespace paddock::model {
namespace {

struct CopiesCase {
  Case network;
  bool is_checkpointing = false;
};

void PrintTo(const CopiesCase& each, std::ostream* out) {
  *out << each.network.name << (each.is_checkpointing ? " checkpointing" : "");
}

std::vector<CopiesCase> all_cases() {
  std::vector<CopiesCase> all;
  for (const bool is_checkpointing : {false, true}) {
    all.push_back({{"Plain", [](auto&) {}}, is_checkpointing});
    all.push_back({{"Gated", [](auto& options) { options.ffn = "swiglu"; }}, is_checkpointing});
    all.push_back({{"WithoutLayerScale", [](auto& options) { options.layerscale = 0; }}, is_checkpointing});
    all.push_back({{"StochasticDepth", [](auto& options) { options.drop_path = .5; }}, is_checkpointing});
    all.push_back({{"Registers", [](auto& options) { options.registers = 3; }}, is_checkpointing});
    all.push_back({{"AsClip",
                    [](auto& options) {
                      options.patch_bias = false;
                      options.pre_norm = true;
                      options.activation = "quick_gelu";
                    }},
                   is_checkpointing});
  }
  return all;
}

class ProductCopiesTest : public ::testing::TestWithParam<CopiesCase> {};

TEST_P(ProductCopiesTest, GiveTheBitsOfCastsForwardAndBackward) {
  const Threads one(1);
  const auto trained = [&](bool is_sliced) {
    auto network = network_of(GetParam().network, false);
    network.set_compute_type(torch::kBFloat16);
    network.set_activation_checkpointing(GetParam().is_checkpointing);
    FlatParameters parameters(with_prefix("backbone.", network.parameters()), true);
    if (is_sliced) {
      parameters.keep_slice({kParameterBlock, 2 * kParameterBlock}, network.product_weights());
      network.set_product_copies(parameters.product_copies());
    }
    return std::pair(train(network).outputs, parameters.gradients());
  };
  const auto [wanted, wanted_gradients] = trained(false);
  const auto [given, given_gradients] = trained(true);
  for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_TRUE(torch::equal(given[i], wanted[i])) << i;
  EXPECT_GT(wanted_gradients.abs().max().item<double>(), 1e-3);
  EXPECT_TRUE(torch::equal(given_gradients, wanted_gradients));
}

INSTANTIATE_TEST_SUITE_P(Options, ProductCopiesTest, ::testing::ValuesIn(all_cases()), [](const auto& each) {
  return each.param.network.name + (each.param.is_checkpointing ? "Checkpointing" : "");
});

TEST(ProductCopies, AreUsedWithoutGradientsTooAndNeverInFloat32) {
  const torch::NoGradGuard no_grad;
  const Case plain{"Plain", [](auto&) {}};
  auto network = network_of(plain, false);
  network.set_compute_type(torch::kBFloat16);
  const auto images = torch::randn({2, 3, 56, 56});
  const auto wanted = network.forward_features(images).prenorm_BTD;
  FlatParameters parameters(with_prefix("backbone.", network.parameters()), false);
  parameters.keep_slice({0, kParameterBlock}, network.product_weights());
  network.set_product_copies(parameters.product_copies());
  network.set_fused(true);  // there is no fast form of weights that are not there
  EXPECT_TRUE(torch::equal(network.forward_features(images).prenorm_BTD, wanted));
  network.set_compute_type(torch::kFloat32);
  EXPECT_THROW(network.forward_features(images), std::logic_error);
}

TEST(ProductCopies, StandInsTakeNoMemory) {
  auto network = network_of({"Plain", [](auto&) {}}, false);
  FlatParameters parameters(with_prefix("backbone.", network.parameters()), true);
  const auto whole = parameters.values().clone();
  const Range slice{2 * kParameterBlock, 3 * kParameterBlock};
  parameters.keep_slice(slice, network.product_weights());
  EXPECT_EQ(parameters.held(), slice);
  EXPECT_TRUE(torch::equal(parameters.values(), whole.slice(0, slice.begin, slice.end)));
  const auto in_products = network.product_weights();
  EXPECT_EQ(in_products.size(), 2 + 3 * 8u);
  const auto before = parameters.views("", whole);
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto& [name, tensor] = parameters.tensors()[i];
    const bool is_stand_in =
        std::ranges::any_of(in_products, [&](const auto& each) { return each.is_same(tensor); });
    EXPECT_EQ(tensor.sizes(), before[i].second.sizes()) << name;
    EXPECT_EQ(tensor.storage().nbytes() == sizeof(float), is_stand_in) << name;
    EXPECT_EQ(torch::equal(tensor, before[i].second), !is_stand_in) << name;
    if (is_stand_in) {
      EXPECT_TRUE(torch::equal(parameters.product_copies()->at(tensor.unsafeGetTensorImpl()),
                               before[i].second.to(torch::kBFloat16)))
          << name;
    }
  }
  EXPECT_THROW(parameters.keep_slice(slice, in_products), std::logic_error);
}

// Parameters that end and begin within blocks, one that lies across three, and a block that has none of a kind.
std::vector<WeightCopies::Parameter> some_parameters() {
  return {{{0, 100}, true},
          {{100, 300}, false},
          {{300, 3 * kParameterBlock - 7}, true},
          {{3 * kParameterBlock - 7, 3 * kParameterBlock + 1}, false},
          {{4 * kParameterBlock, 5 * kParameterBlock}, false},
          {{5 * kParameterBlock, 5 * kParameterBlock + 999}, true}};
}
constexpr std::int64_t kElements = 6 * kParameterBlock;

TEST(WeightCopiesTest, GoFromEachRankToAllOthersWhereverTheSlicesAreCut) {
  const auto values = torch::sin(torch::arange(static_cast<double>(kElements)) * .37).to(torch::kFloat32);
  for (const std::int64_t count : {1, 2, 3, 4, 5, 6, 7}) {
    RanksInMemory(count).run([&](Collective& ranks) {
      WeightCopies copies(some_parameters(), torch::kCPU);
      const Range slice = slice_of_rank(kElements, ranks.rank(), count);
      copies.write(values.slice(0, slice.begin, slice.end), slice);
      SlicesUnderWay under_way;
      copies.begin_sharing(kElements, ranks, under_way);
      under_way.wait();
      const auto parameters = some_parameters();
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        const auto wanted = values.slice(0, parameters[i].elements.begin, parameters[i].elements.end);
        const auto type = parameters[i].is_in_products ? torch::kBFloat16 : torch::kFloat32;
        EXPECT_EQ(copies.of(i).scalar_type(), type);
        EXPECT_TRUE(torch::equal(copies.of(i), wanted.to(type))) << count << " ranks, parameter " << i;
      }
    });
  }
}

}  // namespace
}  // namespace paddock::model
