#include "model/kernels/attention.h"

#include <algorithm>
#include <type_traits>

#include "model/kernels/attention_steps.h"
#include "model/kernels/panel_product.h"

namespace paddock::model {
namespace {

template <class T>
bool is_in_pairs(const AttentionHead<T>& head) {
  return std::is_same_v<T, Bfloat16> && has_pair_products() && head.width % 2 == 0 &&
         head.q.stride % 2 == 0 && head.k.stride % 2 == 0;
}

// All rows of keys or values as float32: where they are, or in `to`, [keys, width].
template <class T>
HeadRows<const float> as_floats(const AttentionHead<T>& head, const HeadRows<const T>& rows, float* to) {
  if constexpr (std::is_same_v<T, float>) {
    return rows;
  } else {
    for (std::int64_t j = 0; j < head.keys; ++j) convert(rows.row(j), to + j * head.width, head.width);
    return {to, head.width};
  }
}

// [width, keys]: the keys (or values) as columns.
template <class T>
StridedMatrix as_columns(const AttentionHead<T>& head, const HeadRows<const float>& rows) {
  return {rows.first, head.width, head.keys, 1, rows.stride};
}
// [keys, width]
template <class T>
StridedMatrix as_rows(const AttentionHead<T>& head, const HeadRows<const float>& rows) {
  return {rows.first, head.keys, head.width, rows.stride, 1};
}

}  // namespace

std::int64_t attention_scratch(std::int64_t keys, std::int64_t width) {
  const std::int64_t padded_keys = padded_columns(keys), padded_width = padded_columns(width);
  return 2 * width * padded_keys + 5 * keys * padded_width +
         kQueryRows * (4 * padded_keys + 8 * padded_width + 4) + 32 * 16;
}

template <class T>
void attend(const AttentionHead<T>& head, float* scratch) {
  if constexpr (std::is_same_v<T, Bfloat16>) {
    if (is_in_pairs(head)) return attend_in_pairs(head, scratch);
  }
  const std::int64_t padded = padded_columns(head.keys), width = padded_columns(head.width);
  Scratch memory(scratch);
  float* keys = memory.take(head.width * padded);
  float* values = memory.take(head.keys * width);
  float* scores = memory.take(kQueryRows * padded);
  float* queries = memory.take(kQueryRows * width);
  float* outputs = memory.take(kQueryRows * width);
  float* sums = memory.take(kQueryRows);
  float* greatest = memory.take(kQueryRows);
  float* const wide = memory.take(head.keys * head.width);
  pack_panels(as_columns(head, as_floats(head, head.k, wide)), keys);
  pack_panels(as_rows(head, as_floats(head, head.v, wide)), values);
  for (std::int64_t begin = 0; begin < head.queries; begin += kQueryRows) {
    const std::int64_t rows = std::min(kQueryRows, head.queries - begin);
    gather_queries(head, begin, rows, width, queries);
    multiply_panels({rows, head.width, head.keys, queries, width, 1, keys, scores, padded});
    softmax_block({scores, rows, head.keys, padded}, sums, greatest);
    multiply_panels({rows, head.keys, head.width, scores, padded, 1, values, outputs, width});
    put_outputs(head, begin, rows, width, outputs, sums, greatest);
  }
}

template <class T>
void attend_backward(const AttentionHead<T>& head, const AttentionGradients<T>& gradients, float* scratch) {
  if constexpr (std::is_same_v<T, Bfloat16>) {
    if (is_in_pairs(head)) return attend_in_pairs_backward(head, gradients, scratch);
  }
  const std::int64_t padded = padded_columns(head.keys), width = padded_columns(head.width);
  Scratch memory(scratch);
  float* key_columns = memory.take(head.width * padded);
  float* value_columns = memory.take(head.width * padded);
  float* key_rows = memory.take(head.keys * width);
  float* key_gradients = memory.take(head.keys * width);
  float* value_gradients = memory.take(head.keys * width);
  float* scores = memory.take(kQueryRows * padded);
  float* score_gradient = memory.take(kQueryRows * padded);
  float* queries = memory.take(kQueryRows * width);
  float* outer = memory.take(kQueryRows * width);  // gradients of the outputs
  float* outputs = memory.take(kQueryRows * width);
  float* panels = memory.take(kQueryRows * width);
  float* query_gradients = memory.take(kQueryRows * width);
  float* means = memory.take(kQueryRows);
  float* log_sums = memory.take(kQueryRows);
  float* const wide = memory.take(head.keys * head.width);
  pack_panels(as_columns(head, as_floats(head, head.v, wide)), value_columns);
  const auto keys = as_floats(head, head.k, wide);
  pack_panels(as_columns(head, keys), key_columns);
  pack_panels(as_rows(head, keys), key_rows);
  std::fill_n(key_gradients, head.keys * width, 0.f);
  std::fill_n(value_gradients, head.keys * width, 0.f);
  for (std::int64_t begin = 0; begin < head.queries; begin += kQueryRows) {
    const std::int64_t rows = std::min(kQueryRows, head.queries - begin);
    gather_queries(head, begin, rows, width, queries);
    gather(head, gradients.output, begin, rows, width, outer);
    gather(head, head.output, begin, rows, width, outputs);
    for (std::int64_t r = 0; r < rows; ++r) log_sums[r] = head.log_sum[head.query_row(begin + r)];
    row_dots(outer, outputs, rows, width, means);  // = Σ_j p_j · dp_j
    multiply_panels({rows, head.width, head.keys, queries, width, 1, key_columns, scores, padded});
    multiply_panels({rows, head.width, head.keys, outer, width, 1, value_columns, score_gradient, padded});
    score_gradients({scores, rows, head.keys, padded}, score_gradient, log_sums, means);
    pack_panels({outer, rows, head.width, width, 1}, panels);
    multiply_panels({head.keys, rows, head.width, scores, 1, padded, panels, value_gradients, width, true});
    pack_panels({queries, rows, head.width, width, 1}, panels);
    multiply_panels(
        {head.keys, rows, head.width, score_gradient, 1, padded, panels, key_gradients, width, true});
    multiply_panels(
        {rows, head.keys, head.width, score_gradient, padded, 1, key_rows, query_gradients, width});
    put_query_gradients(head, gradients.q, begin, rows, width, query_gradients);
  }
  put_key_gradients(head, gradients, width, key_gradients, value_gradients);
}

template void attend(const AttentionHead<float>&, float*);
template void attend(const AttentionHead<Bfloat16>&, float*);
template void attend_backward(const AttentionHead<float>&, const AttentionGradients<float>&, float*);
template void attend_backward(const AttentionHead<Bfloat16>&, const AttentionGradients<Bfloat16>&, float*);

}  // namespace paddock::model
