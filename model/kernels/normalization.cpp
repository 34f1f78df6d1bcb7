#include "model/kernels/normalization.h"

#include "model/kernels/vector_forms.h"

#define PADDOCK_LOOPS "model/kernels/normalization.inc"
#include "model/kernels/every_form.inc"

namespace paddock::model {

template <class T>
void normalize(const RowsToNormalize<T>& in, std::int64_t begin, std::int64_t end) {
  PADDOCK_BEST_FORM(normalize_loop, in, begin, end);
}

template <class T>
void normalize_backward(const NormalizedGradient<T>& in, std::int64_t begin, std::int64_t end) {
  PADDOCK_BEST_FORM(normalize_backward_loop, in, begin, end);
}

template <class T>
void add_rows(const RowSelection& rows, float* large, const T* small, const float* bias, std::int64_t begin,
              std::int64_t end) {
  PADDOCK_BEST_FORM(add_rows_loop, rows, large, small, bias, begin, end);
}

template <class T>
void take_rows(const RowSelection& rows, const float* large, T* small, std::int64_t begin, std::int64_t end) {
  PADDOCK_BEST_FORM(take_rows_loop, rows, large, small, begin, end);
}

template <class T>
void add_columns(const T* x, std::int64_t width, std::int64_t stride, float* sums, std::int64_t begin,
                 std::int64_t end) {
  PADDOCK_BEST_FORM(add_columns_loop, x, width, stride, sums, begin, end);
}

template void normalize(const RowsToNormalize<float>&, std::int64_t, std::int64_t);
template void normalize(const RowsToNormalize<Bfloat16>&, std::int64_t, std::int64_t);
template void normalize_backward(const NormalizedGradient<float>&, std::int64_t, std::int64_t);
template void normalize_backward(const NormalizedGradient<Bfloat16>&, std::int64_t, std::int64_t);
template void add_rows(const RowSelection&, float*, const float*, const float*, std::int64_t, std::int64_t);
template void add_rows(const RowSelection&, float*, const Bfloat16*, const float*, std::int64_t,
                       std::int64_t);
template void take_rows(const RowSelection&, const float*, float*, std::int64_t, std::int64_t);
template void take_rows(const RowSelection&, const float*, Bfloat16*, std::int64_t, std::int64_t);
template void add_columns(const float*, std::int64_t, std::int64_t, float*, std::int64_t, std::int64_t);
template void add_columns(const Bfloat16*, std::int64_t, std::int64_t, float*, std::int64_t, std::int64_t);

}  // namespace paddock::model
