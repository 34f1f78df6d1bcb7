#include "model/kernels/normalization.h"

#include "model/kernels/vector_forms.h"

#define PADDOCK_LOOPS "model/kernels/normalization.inc"
#include "model/kernels/every_form.inc"

namespace paddock::model {

void normalize(const RowsToNormalize& in, std::int64_t begin, std::int64_t end) {
  PADDOCK_BEST_FORM(normalize_loop, in, begin, end);
}

void normalize_backward(const NormalizedGradient& in, std::int64_t begin, std::int64_t end) {
  PADDOCK_BEST_FORM(normalize_backward_loop, in, begin, end);
}

void add_rows(const RowSelection& rows, float* large, const float* small, const float* bias,
              std::int64_t begin, std::int64_t end) {
  PADDOCK_BEST_FORM(add_rows_loop, rows, large, small, bias, begin, end);
}

void take_rows(const RowSelection& rows, const float* large, float* small, std::int64_t begin,
               std::int64_t end) {
  PADDOCK_BEST_FORM(take_rows_loop, rows, large, small, begin, end);
}

void add_columns(const float* x, std::int64_t width, std::int64_t stride, float* sums, std::int64_t begin,
                 std::int64_t end) {
  PADDOCK_BEST_FORM(add_columns_loop, x, width, stride, sums, begin, end);
}

}  // namespace paddock::model
