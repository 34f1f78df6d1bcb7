#include "model/kernels/panel_product.h"

#include <algorithm>

#include "model/kernels/vector_forms.h"

#define PADDOCK_LOOPS "model/kernels/panel_product.inc"
#include "model/kernels/every_form.inc"

namespace paddock::model {
namespace {

std::int64_t lanes() {
  PADDOCK_BEST_FORM(vector_lanes);
}

}  // namespace

void multiply_panels(const PanelProduct& product) {
  PADDOCK_BEST_FORM(multiply_loop, product);
}

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
