// Compiled without contraction to fused multiply-adds (CMakeLists.txt), so that vector and scalar code round alike.
#include <bit>
#include <cmath>

#include "model/kernels/fused_update.h"

namespace paddock::model {
namespace {

// Round to nearest, ties to even; a NaN stays one.
std::uint16_t to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return 0x7FC0;
  return static_cast<std::uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

}  // namespace

FusedUpdateValues fused_update_values(const UpdateNumbers& numbers) {
  const auto update = static_cast<double>(numbers.update);
  FusedUpdateValues values;
  values.step_size = static_cast<float>(numbers.lr / (1 - std::pow(numbers.beta1, update)));
  values.keep = static_cast<float>(1 - numbers.lr * numbers.weight_decay);
  values.beta2 = static_cast<float>(numbers.beta2);
  values.one_minus_beta1 = static_cast<float>(1 - numbers.beta1);
  values.one_minus_beta2 = static_cast<float>(1 - numbers.beta2);
  values.second_root = static_cast<float>(std::sqrt(1 - std::pow(numbers.beta2, update)));
  values.epsilon = static_cast<float>(numbers.epsilon);
  values.momentum = static_cast<float>(numbers.momentum);
  values.one_minus_momentum = static_cast<float>(1 - numbers.momentum);
  values.gradient_scale = static_cast<float>(numbers.gradient_scale);
  return values;
}

void fused_update_cpu(const FusedUpdateArrays& arrays, const FusedUpdateValues& v) {
  float* __restrict value = arrays.value;
  float* __restrict first = arrays.first;
  float* __restrict second = arrays.second;
  float* __restrict average = arrays.average;
  const float* __restrict gradients = arrays.gradient;
  for (std::int64_t i = 0; i < arrays.count; ++i) {
    const float gradient = gradients[i] * v.gradient_scale;
    first[i] += v.one_minus_beta1 * (gradient - first[i]);
    second[i] = v.beta2 * second[i] + v.one_minus_beta2 * gradient * gradient;
    value[i] =
        value[i] * v.keep - v.step_size * first[i] / (std::sqrt(second[i]) / v.second_root + v.epsilon);
    average[i] = v.momentum * average[i] + v.one_minus_momentum * value[i];
  }
  if (arrays.value_bf16 != nullptr) {
    for (std::int64_t i = 0; i < arrays.count; ++i) arrays.value_bf16[i] = to_bfloat16(value[i]);
  }
  if (arrays.average_bf16 != nullptr) {
    for (std::int64_t i = 0; i < arrays.count; ++i) arrays.average_bf16[i] = to_bfloat16(average[i]);
  }
}

}  // namespace paddock::model
