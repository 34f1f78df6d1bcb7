// model/kernels/activation.h – what lies between the two linear layers of a feed-forward, with the first
// one's bias: one pass
// forward, one backward. Float32 rows; letters: H width inside, I width of the first layer (H, 2·H where
// gated).
// Source: GELU (arXiv 1606.08415) in its exact form, SwiGLU (arXiv 2002.05202), quick GELU as in CLIP's code.
// Φ is taken from erfc, so the tails keep their relative precision: |error| ≤ 3e-7 · |x|, and 3e-6 relative
// where x > −6.
// Threads: pure functions on rows that do not overlap.
#pragma once

#include <cstdint>

namespace paddock::model {

enum class Activation {
  kGelu,
  kQuickGelu,  // x · sigmoid(1.702 · x)
  kSwiGlu,     // SiLU of the first H of a row, times its last H
};

inline std::int64_t activation_inputs(Activation activation, std::int64_t hidden) {
  return activation == Activation::kSwiGlu ? 2 * hidden : hidden;
}

struct ActivationRows {
  Activation activation = Activation::kGelu;
  std::int64_t hidden = 0;        // H
  const float* before = nullptr;  // [rows, I] of the first layer, without its bias
  const float* bias = nullptr;    // [I]
};

// after [rows, H] may be `before` where I = H.
void activate(const ActivationRows& in, float* after, std::int64_t rows);

// `after` [rows, H]: in the gradient of what activate() gave, out that itself, for the second layer's
// weights.
// before_gradient [rows, I]; bias_gradient [I] is added to, row by row.
void activate_backward(const ActivationRows& in, float* after, float* before_gradient, float* bias_gradient,
                       std::int64_t rows);

}  // namespace paddock::model
