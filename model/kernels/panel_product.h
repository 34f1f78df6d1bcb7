// model/kernels/panel_product.h – small matrix products in cache, as attention needs them: C = A·B or C +=
// A·B.
// B is packed beforehand into panels of a few vectors' width, so that the inner loop reads it in order.
// Float32.
// One order of additions for each element of C, whatever the number of rows. Threads: pure functions.
#pragma once

#include <cstdint>

namespace paddock::model {

// Columns as panels hold them: rounded up to whole vectors of this processor, the rest zeros.
std::int64_t padded_columns(std::int64_t columns);

// A matrix [depth, columns] anywhere in memory.
struct StridedMatrix {
  const float* first = nullptr;
  std::int64_t depth = 0, columns = 0;
  std::int64_t depth_stride = 0, column_stride = 1;
};

// `panels` holds depth · padded_columns(columns).
void pack_panels(const StridedMatrix& matrix, float* panels);

struct PanelProduct {
  std::int64_t rows = 0, depth = 0, columns = 0;
  const float* a = nullptr;  // [rows, depth]
  std::int64_t a_row_stride = 0, a_depth_stride = 1;
  const float* panels = nullptr;
  float* c = nullptr;         // [rows, padded_columns(columns)]
  std::int64_t c_stride = 0;  // at least padded_columns(columns)
  bool is_adding = false;
};
void multiply_panels(const PanelProduct& product);

// The same of bfloat16: every float above but those of C stands for a word of two neighbours along the depth, the first in
// its lower half, and `depth` counts words. Only where has_pair_products(): the processor adds products of pairs to float32.
bool has_pair_products();
void multiply_pair_panels(const PanelProduct& product);
// A word of each column of two rows of float32, rounded; `second` null: zeros.
void interleave_pairs(const float* first, const float* second, std::int64_t columns, float* to);

}  // namespace paddock::model
