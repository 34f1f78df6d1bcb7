// Activation checkpointing: the same bits from what is made again, and less memory for it.
#include <c10/core/Allocator.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <algorithm>
#include <memory>

#include "model/recomputed.h"
#include "tests/model/block_cases.h"

namespace paddock::model {
namespace {

struct CheckpointingCase {
  Case network;
  bool is_fused = true;
  torch::ScalarType type = torch::kFloat32;
};

void PrintTo(const CheckpointingCase& each, std::ostream* out) {
  *out << each.network.name << (each.is_fused ? " fused" : " plain");
}

VisionTransformer network_of(const CheckpointingCase& each, bool is_checkpointing) {
  auto network = network_of(each.network, each.is_fused);
  network.set_compute_type(each.type);
  network.set_activation_checkpointing(is_checkpointing);
  return network;
}

std::vector<CheckpointingCase> all_cases() {
  std::vector<CheckpointingCase> all;
  for (const bool is_fused : {true, false}) {
    for (const auto type : {torch::kFloat32, torch::kBFloat16}) {
      all.push_back({{"Plain", [](auto&) {}}, is_fused, type});
      all.push_back({{"Gated", [](auto& options) { options.ffn = "swiglu"; }}, is_fused, type});
      all.push_back({{"WithoutLayerScale", [](auto& options) { options.layerscale = 0; }}, is_fused, type});
      all.push_back({{"StochasticDepth", [](auto& options) { options.drop_path = .5; }}, is_fused, type});
      all.push_back({{"Registers", [](auto& options) { options.registers = 3; }}, is_fused, type});
    }
  }
  return all;
}

class ActivationCheckpointing : public ::testing::TestWithParam<CheckpointingCase> {};

TEST_P(ActivationCheckpointing, ChangesNoBit) {
  const Threads one(1);  // LibTorch's own sums depend on their number
  const auto wanted = train(network_of(GetParam(), false)), given = train(network_of(GetParam(), true));
  for (std::size_t i = 0; i < wanted.outputs.size(); ++i)
    EXPECT_TRUE(torch::equal(given.outputs[i], wanted.outputs[i])) << i;
  ASSERT_EQ(given.gradients.size(), wanted.gradients.size());
  for (std::size_t i = 0; i < wanted.gradients.size(); ++i) {
    const auto& [name, gradient] = wanted.gradients[i];
    EXPECT_EQ(given.gradients[i].first, name);
    EXPECT_TRUE(torch::equal(given.gradients[i].second, gradient)) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Options, ActivationCheckpointing, ::testing::ValuesIn(all_cases()),
                         [](const auto& each) {
                           return each.param.network.name + (each.param.is_fused ? "Fused" : "Plain") +
                                  (each.param.type == torch::kBFloat16 ? "Bfloat16" : "Float32");
                         });

// Counts the bytes of LibTorch's tensors that are alive on this thread's account.
class Meter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, std::int64_t size, std::size_t, std::size_t, c10::Device) override {
    now_ += size;
    most_ = std::max(most_, now_);
  }
  bool memoryProfilingEnabled() const override { return true; }
  std::int64_t most() const { return most_; }

 private:
  std::int64_t now_ = 0, most_ = 0;
};

std::int64_t peak_of_training(bool is_fused, bool is_checkpointing) {
  const Case deep{"Deep", [](auto& options) { options.depth = 12; }};
  auto network = network_of(CheckpointingCase{deep, is_fused}, is_checkpointing);
  const auto meter = std::make_shared<Meter>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, meter);
  network.forward_features(torch::zeros({32, 3, 56, 56})).cls_BD.sum().backward();
  return meter->most();
}

// Kept of a token and block: 4·D bytes against 6·D + H numbers in the fused form, and more in the plain one.
TEST(ActivationCheckpointingTest, KeepsLittleMoreThanTheInputsOfTheBlocks) {
  EXPECT_LT(peak_of_training(true, true), peak_of_training(true, false) / 3);
  EXPECT_LT(peak_of_training(false, true), peak_of_training(false, false) / 3);
}

TEST(Recomputed, KeepsNothingForASecondBackwardPass) {
  const auto weight = torch::ones({3}).requires_grad_(true);
  const auto result =
      recomputed([&](const torch::Tensor& x) { return x * weight; }, torch::ones({3}), {weight}).sum();
  result.backward();
  EXPECT_THROW(result.backward(), std::logic_error);
}

TEST(Recomputed, RunsAgainOnlyWhereAGradientIsAskedFor) {
  int calls = 0;
  const auto twice = [&](const torch::Tensor& x) {
    ++calls;
    return 2 * x;
  };
  recomputed(twice, torch::ones({3}), {});
  EXPECT_EQ(calls, 1);
  const auto x = torch::ones({3}).requires_grad_(true);
  const auto y = recomputed(twice, x, {torch::Tensor()});
  EXPECT_EQ(calls, 2);
  y.sum().backward();
  EXPECT_EQ(calls, 3);
  EXPECT_TRUE(torch::equal(x.grad(), torch::full({3}, 2.F)));
}

}  // namespace
}  // namespace paddock::model
