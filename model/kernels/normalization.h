// model/kernels/normalization.h – LayerNorm without its gains and biases, and the row-wise steps around it.
// Float32 rows of `width`. Where `rows` is given, row i of the smaller side is row rows[i] of the larger one.
// Source: LayerNorm (arXiv 1607.06450). Threads: each function works on rows [begin, end) of the smaller
// side.
#pragma once

#include <cstdint>

namespace paddock::model {

struct RowsToNormalize {
  float* x = nullptr;                  // the residual stream
  const std::int64_t* rows = nullptr;  // null: all
  const float* bias = nullptr;         // [width], added to x itself first; null: none
  float* normed = nullptr;             // out
  float* inverse_deviation = nullptr;  // out, one a row: 1/√(variance + ε)
  std::int64_t width = 0;
  float epsilon = 1e-6f;
};
void normalize(const RowsToNormalize& in, std::int64_t begin, std::int64_t end);

struct NormalizedGradient {
  float* x_gradient = nullptr;         // added to
  const std::int64_t* rows = nullptr;  // null: all; distinct, or one thread alone
  const float* normed_gradient = nullptr;
  const float* normed = nullptr;
  const float* inverse_deviation = nullptr;
  std::int64_t width = 0;
};
void normalize_backward(const NormalizedGradient& in, std::int64_t begin, std::int64_t end);

struct RowSelection {
  const std::int64_t* rows = nullptr;  // null: all
  const float* factors = nullptr;      // one a row; null: 1
  std::int64_t width = 0;
};
// large[rows[i]] += factors[i] · (small[i] + bias); bias may be null.
void add_rows(const RowSelection& rows, float* large, const float* small, const float* bias,
              std::int64_t begin, std::int64_t end);
// small[i] = factors[i] · large[rows[i]]
void take_rows(const RowSelection& rows, const float* large, float* small, std::int64_t begin,
               std::int64_t end);
// sums[width] += Σ x[i], in the order of rows, which lie `stride` apart.
void add_columns(const float* x, std::int64_t width, std::int64_t stride, float* sums, std::int64_t begin,
                 std::int64_t end);

}  // namespace paddock::model
