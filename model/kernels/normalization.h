// model/kernels/normalization.h – LayerNorm without its gains and biases, and the row-wise steps around it.
// Rows of `width`; the residual stream is float32, what goes into and comes out of products is T: float or Bfloat16.
// Where `rows` is given, row i of the smaller side is row rows[i] of the larger one.
// Source: LayerNorm (arXiv 1607.06450). Threads: each function works on rows [begin, end) of the smaller side.
#pragma once

#include <cstdint>

#include "model/kernels/bfloat16.h"

namespace paddock::model {

template <class T>
struct RowsToNormalize {
  const float* x = nullptr;            // the residual stream
  const std::int64_t* rows = nullptr;  // null: all
  T* normed = nullptr;                 // out
  float* inverse_deviation = nullptr;  // out, one a row: 1/√(variance + ε)
  std::int64_t width = 0;
  float epsilon = 1e-6f;
};
template <class T>
void normalize(const RowsToNormalize<T>& in, std::int64_t begin, std::int64_t end);

template <class T>
struct NormalizedGradient {
  float* x_gradient = nullptr;         // added to
  const std::int64_t* rows = nullptr;  // null: all; distinct, or one thread alone
  const T* normed_gradient = nullptr;
  const T* normed = nullptr;
  const float* inverse_deviation = nullptr;
  std::int64_t width = 0;
};
template <class T>
void normalize_backward(const NormalizedGradient<T>& in, std::int64_t begin, std::int64_t end);

struct RowSelection {
  const std::int64_t* rows = nullptr;  // null: all
  const float* factors = nullptr;      // one a row; null: 1
  std::int64_t width = 0;
};
// large[rows[i]] += factors[i] · (small[i] + bias); bias may be null.
template <class T>
void add_rows(const RowSelection& rows, float* large, const T* small, const float* bias, std::int64_t begin,
              std::int64_t end);
// small[i] = factors[i] · large[rows[i]]
template <class T>
void take_rows(const RowSelection& rows, const float* large, T* small, std::int64_t begin, std::int64_t end);
// sums[width] += Σ x[i], in the order of rows, which lie `stride` apart.
template <class T>
void add_columns(const T* x, std::int64_t width, std::int64_t stride, float* sums, std::int64_t begin,
                 std::int64_t end);

}  // namespace paddock::model
