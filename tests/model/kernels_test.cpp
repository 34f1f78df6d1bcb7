// The fused update's CPU form against the separate operations.
#include <gtest/gtest.h>

#include <algorithm>

#include "fused_update_case.h"

namespace paddock::model {
namespace {

TEST(FusedUpdate, CpuFormEqualsAdamWThenTheMovingAverageThenTheCasts) {
  at::manual_seed(8);
  Case fused;
  auto value = fused.value.clone(), first = fused.first.clone(), second = fused.second.clone(),
       average = fused.average.clone();
  const auto numbers = some_numbers();
  fused_update_cpu(fused.arrays(), fused_update_values(numbers));
  at::_fused_adamw_({value}, {fused.gradient}, {first}, {second}, {}, {torch::tensor(7.f)}, numbers.lr,
                    numbers.beta1, numbers.beta2, numbers.weight_decay, numbers.epsilon, false, false);
  average.mul_(numbers.momentum).add_(value, 1 - numbers.momentum);
  EXPECT_TRUE(torch::allclose(fused.value, value, 1e-6, 1e-7));
  EXPECT_TRUE(torch::allclose(fused.first, first, 1e-6, 1e-7));
  EXPECT_TRUE(torch::allclose(fused.second, second, 1e-6, 1e-7));
  EXPECT_TRUE(torch::allclose(fused.average, average, 1e-6, 1e-7));
  EXPECT_TRUE(torch::equal(fused.value_bf16, fused.value.to(torch::kBFloat16)));
  EXPECT_TRUE(torch::equal(fused.average_bf16, fused.average.to(torch::kBFloat16)));
}

TEST(FusedUpdate, BitsDoNotDependOnWhereAnArrayIsCut) {
  at::manual_seed(8);
  Case whole;
  Case cut;
  cut.value = whole.value.clone(), cut.gradient = whole.gradient.clone(), cut.first = whole.first.clone();
  cut.second = whole.second.clone(), cut.average = whole.average.clone();
  const auto values = fused_update_values(some_numbers());
  fused_update_cpu(whole.arrays(), values);
  for (std::int64_t begin = 0; begin < 1003; begin += 37) {
    FusedUpdateArrays part = cut.arrays();
    part.value += begin, part.gradient += begin, part.first += begin, part.second += begin;
    part.average += begin, part.value_bf16 += begin, part.average_bf16 += begin;
    part.count = std::min<std::int64_t>(37, 1003 - begin);
    fused_update_cpu(part, values);
  }
  EXPECT_TRUE(torch::equal(cut.value, whole.value));
  EXPECT_TRUE(torch::equal(cut.first, whole.first));
  EXPECT_TRUE(torch::equal(cut.second, whole.second));
  EXPECT_TRUE(torch::equal(cut.average, whole.average));
}

}  // namespace
}  // namespace paddock::model
