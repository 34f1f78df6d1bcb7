// The fused update's reference form against the separate operations.
#include <gtest/gtest.h>

#include "fused_update_case.h"

namespace paddock::model {
namespace {

TEST(FusedUpdate, ReferenceFormEqualsAdamWThenTheMovingAverageThenTheCasts) {
  at::manual_seed(8);
  Case fused;
  auto value = fused.value.clone(), first = fused.first.clone(), second = fused.second.clone(),
       average = fused.average.clone();
  const auto values = some_values();
  fused_update_reference(fused.arrays(), values);
  at::_fused_adamw_({value}, {fused.gradient}, {first}, {second}, {}, {torch::tensor(7.f)}, values.lr,
                    values.beta1, values.beta2, values.weight_decay, values.epsilon, false, false);
  average.mul_(values.momentum).add_(value, 1 - values.momentum);
  EXPECT_TRUE(torch::allclose(fused.value, value, 1e-5, 1e-6));
  EXPECT_TRUE(torch::allclose(fused.first, first, 1e-5, 1e-6));
  EXPECT_TRUE(torch::allclose(fused.second, second, 1e-5, 1e-6));
  EXPECT_TRUE(torch::allclose(fused.average, average, 1e-5, 1e-6));
  EXPECT_TRUE(torch::equal(fused.value_bf16, fused.value.to(torch::kBFloat16)));
  EXPECT_TRUE(torch::equal(fused.average_bf16, fused.average.to(torch::kBFloat16)));
}

}  // namespace
}  // namespace paddock::model
