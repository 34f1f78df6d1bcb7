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

void fused_update_reference(const FusedUpdateArrays& arrays, const FusedUpdateValues& values) {
  const auto update = static_cast<float>(values.update);
  const float first_correction = 1 - std::pow(values.beta1, update);
  const float second_correction = std::sqrt(1 - std::pow(values.beta2, update));
  for (std::int64_t i = 0; i < arrays.count; ++i) {
    const float gradient = arrays.gradient[i] * values.gradient_scale;
    const float first = arrays.first[i] + (1 - values.beta1) * (gradient - arrays.first[i]);
    const float second = values.beta2 * arrays.second[i] + (1 - values.beta2) * gradient * gradient;
    float value = arrays.value[i] * (1 - values.lr * values.weight_decay);
    value -= values.lr / first_correction * first / (std::sqrt(second) / second_correction + values.epsilon);
    const float average = values.momentum * arrays.average[i] + (1 - values.momentum) * value;
    arrays.first[i] = first;
    arrays.second[i] = second;
    arrays.value[i] = value;
    arrays.average[i] = average;
    if (arrays.value_bf16 != nullptr) arrays.value_bf16[i] = to_bfloat16(value);
    if (arrays.average_bf16 != nullptr) arrays.average_bf16[i] = to_bfloat16(average);
  }
}

}  // namespace paddock::model
