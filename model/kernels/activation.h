// model/kernels/activation.h – what lies between the two linear layers of a feed-forward, with the first
// one's bias: one pass
// forward, one backward. Rows of T: float or Bfloat16; letters: H width inside, I width of the first layer (H, 2·H where
// gated).
// Source: GELU (arXiv 1606.08415) in its exact form, SwiGLU (arXiv 2002.05202), quick GELU as in CLIP's code.
// Φ is taken from erfc, so the tails keep their relative precision: |error| ≤ 3e-7 · |x|, and 3e-6 relative
// where x > −6.
// Threads: pure functions on rows that do not overlap.
#pragma once

#include <cstdint>

#include "model/kernels/bfloat16.h"

namespace paddock::model {

enum class Activation {
  kGelu,
  kQuickGelu,  // x · sigmoid(1.702 · x)
  kSwiGlu,     // SiLU of the first H of a row, times its last H
};

inline std::int64_t activation_inputs(Activation activation, std::int64_t hidden) {
  return activation == Activation::kSwiGlu ? 2 * hidden : hidden;
}

template <class T>
struct ActivationRows {
  Activation activation = Activation::kGelu;
  std::int64_t hidden = 0;      // H
  const T* before = nullptr;    // [rows, I] of the first layer, without its bias
  const float* bias = nullptr;  // [I]
};

// after [rows, H] may be `before` where I = H.
template <class T>
void activate(const ActivationRows<T>& in, T* after, std::int64_t rows);

// `after` [rows, H]: in the gradient of what activate() gave, out that itself, for the second layer's
// weights.
// before_gradient [rows, I]; bias_gradient [I] is added to, row by row.
template <class T>
void activate_backward(const ActivationRows<T>& in, T* after, T* before_gradient, float* bias_gradient,
                       std::int64_t rows);

}  // namespace paddock::model
