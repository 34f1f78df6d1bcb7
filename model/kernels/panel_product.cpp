#include "model/kernels/panel_product.h"

#include <algorithm>
#include <cstdlib>

#include "model/kernels/vector_forms.h"

#define PADDOCK_LOOPS "model/kernels/panel_product.inc"
#include "model/kernels/every_form.inc"

#if PADDOCK_HAS_VECTOR_FORMS
#include <immintrin.h>

// The same loops once more, with pairs of bfloat16 in the words.
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw,avx512bf16,avx2,fma")
namespace paddock::model {
namespace {
namespace pairs {
constexpr std::int64_t kLanes = 16;
#include "model/kernels/vector.inc"
#define PADDOCK_PAIRS
inline Floats factor_of(const float* a) {
  int word;
  std::memcpy(&word, a, sizeof(word));
  return reinterpret_cast<Floats>(_mm512_set1_epi32(word));
}
inline void multiply_add(Floats& sum, Floats factor, Floats b) {
  sum = _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(factor), reinterpret_cast<__m512bh>(b));
}
#include "model/kernels/panel_product.inc"
#undef PADDOCK_PAIRS

inline void interleave_loop(const float* first, const float* second, std::int64_t columns, float* to) {
  for (std::int64_t c = 0; c < columns; c += kLanes) {
    alignas(64) Bfloat16 halves[2][kLanes];
    store(halves[0], load(first + c));
    store(halves[1], second == nullptr ? Floats{} : load(second + c));
    Halves low, high;
    std::memcpy(&low, halves[0], sizeof(low));
    std::memcpy(&high, halves[1], sizeof(high));
    const Words words = __builtin_convertvector(low, Words) | __builtin_convertvector(high, Words) << 16;
    std::memcpy(to + c, &words, sizeof(words));
  }
}
}  // namespace pairs
}  // namespace
}  // namespace paddock::model
#pragma GCC pop_options
#endif

namespace paddock::model {
namespace {

std::int64_t lanes() {
  PADDOCK_BEST_FORM(vector_lanes);
}

}  // namespace

void multiply_panels(const PanelProduct& product) {
  PADDOCK_BEST_FORM(multiply_loop, product);
}

#if PADDOCK_HAS_VECTOR_FORMS
bool has_pair_products() {
  static const bool has = instructions() == Instructions::kAvx512 && __builtin_cpu_supports("avx512bf16");
  return has;
}

void multiply_pair_panels(const PanelProduct& product) {
  pairs::multiply_loop(product);
}

void interleave_pairs(const float* first, const float* second, std::int64_t columns, float* to) {
  pairs::interleave_loop(first, second, columns, to);
}
#else
bool has_pair_products() {
  return false;
}
void multiply_pair_panels(const PanelProduct&) {
  std::abort();
}
void interleave_pairs(const float*, const float*, std::int64_t, float*) {
  std::abort();
}
#endif

std::int64_t padded_columns(std::int64_t columns) {
  return (columns + lanes() - 1) / lanes() * lanes();
}

void pack_panels(const StridedMatrix& matrix, float* panels) {
  const std::int64_t lane_count = lanes(), padded = padded_columns(matrix.columns);
  for (std::int64_t column = 0; column < padded; column += 2 * lane_count) {
    const std::int64_t width = std::min(2 * lane_count, padded - column);
    const std::int64_t there = std::min(width, matrix.columns - column);
    const float* from = matrix.first + column * matrix.column_stride;
    float* to = panels + column * matrix.depth;
    if (matrix.column_stride == 1) {
      for (std::int64_t k = 0; k < matrix.depth; ++k)
        std::copy_n(from + k * matrix.depth_stride, there, to + k * width);
    } else {
      for (std::int64_t j = 0; j < there; ++j) {
        for (std::int64_t k = 0; k < matrix.depth; ++k)
          to[k * width + j] = from[j * matrix.column_stride + k * matrix.depth_stride];
      }
    }
    for (std::int64_t k = 0; k < matrix.depth && there < width; ++k)
      std::fill_n(to + k * width + there, width - there, 0.f);
  }
}

}  // namespace paddock::model
