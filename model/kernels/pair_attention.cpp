// Attention on bfloat16 with instructions that multiply pairs of them: the same steps as attention.cpp, float32 between the
// products. A pair is a word of two neighbours along the depth of a product.
#include <algorithm>
#include <bit>
#include <cstring>

#include "model/kernels/attention_steps.h"
#include "model/kernels/panel_product.h"

namespace paddock::model {
namespace {

// A row of bfloat16 as a row of pairs of neighbours.
const float* words(const Bfloat16* row) {
  return reinterpret_cast<const float*>(row);
}

std::int64_t half(std::int64_t count) {
  return (count + 1) / 2;
}

// [width/2, keys]: the keys (or values) as columns of pairs.
StridedMatrix as_columns(const AttentionHead<Bfloat16>& head, const HeadRows<const Bfloat16>& rows) {
  return {words(rows.first), head.width / 2, head.keys, 1, rows.stride / 2};
}

// Rows of float32 as bfloat16, `places` of each.
void round_rows(const float* from, std::int64_t rows, std::int64_t places, float* to) {
  convert(from, reinterpret_cast<Bfloat16*>(to), rows * places);
}

// Rows 2i and 2i + 1 as a row of pairs, [half(rows), padded].
void pair_rows(const float* from, std::int64_t rows, std::int64_t padded, float* to) {
  for (std::int64_t r = 0; r < rows; r += 2)
    interleave_pairs(from + r * padded, r + 1 < rows ? from + (r + 1) * padded : nullptr, padded,
                     to + r / 2 * padded);
}

// All keys or values as panels of pairs along the keys; `pairs` and `wide` are scratch.
void pack_pairs_of_keys(const AttentionHead<Bfloat16>& head, const HeadRows<const Bfloat16>& rows,
                        float* wide, float* pairs, float* panels) {
  const std::int64_t padded = padded_columns(head.width);
  for (std::int64_t j = 0; j < head.keys; j += 2) {
    for (std::int64_t i = 0; i < 2; ++i) {
      std::fill_n(wide + i * padded, padded, 0.f);
      if (j + i < head.keys) convert(rows.row(j + i), wide + i * padded, head.width);
    }
    interleave_pairs(wide, wide + padded, padded, pairs + j / 2 * padded);
  }
  pack_panels({pairs, half(head.keys), head.width, padded, 1}, panels);
}

}  // namespace

void attend_in_pairs(const AttentionHead<Bfloat16>& head, float* scratch) {
  const std::int64_t padded = padded_columns(head.keys), width = padded_columns(head.width);
  Scratch memory(scratch);
  float* keys = memory.take(half(head.width) * padded);
  float* values = memory.take(half(head.keys) * width);
  float* pairs = memory.take(half(head.keys) * width);
  float* scores = memory.take(kQueryRows * padded);
  float* rounded = memory.take(kQueryRows * std::max(padded, width) / 2);
  float* queries = memory.take(kQueryRows * width);
  float* outputs = memory.take(kQueryRows * width);
  float* sums = memory.take(kQueryRows);
  float* greatest = memory.take(kQueryRows);
  pack_panels(as_columns(head, head.k), keys);
  pack_pairs_of_keys(head, head.v, outputs, pairs, values);
  for (std::int64_t begin = 0; begin < head.queries; begin += kQueryRows) {
    const std::int64_t rows = std::min(kQueryRows, head.queries - begin);
    gather_queries(head, begin, rows, width, queries);
    round_rows(queries, rows, width, rounded);
    multiply_pair_panels({rows, head.width / 2, head.keys, rounded, width / 2, 1, keys, scores, padded});
    softmax_block({scores, rows, head.keys, padded}, sums, greatest);
    round_rows(scores, rows, padded, rounded);
    multiply_pair_panels({rows, half(head.keys), head.width, rounded, padded / 2, 1, values, outputs, width});
    put_outputs(head, begin, rows, width, outputs, sums, greatest);
  }
}

void attend_in_pairs_backward(const AttentionHead<Bfloat16>& head,
                              const AttentionGradients<Bfloat16>& gradients, float* scratch) {
  const std::int64_t padded = padded_columns(head.keys), width = padded_columns(head.width);
  Scratch memory(scratch);
  float* key_columns = memory.take(half(head.width) * padded);
  float* value_columns = memory.take(half(head.width) * padded);
  float* key_rows = memory.take(half(head.keys) * width);
  float* key_gradients = memory.take(head.keys * width);
  float* value_gradients = memory.take(head.keys * width);
  float* scores = memory.take(kQueryRows * padded);
  float* score_gradient = memory.take(kQueryRows * padded);
  float* rounded = memory.take(kQueryRows * std::max(padded, width));
  float* queries = memory.take(kQueryRows * width);
  float* outer = memory.take(kQueryRows * width);  // gradients of the outputs
  float* outputs = memory.take(kQueryRows * width);
  float* panels = memory.take(kQueryRows * width);
  float* pairs = memory.take(std::max(kQueryRows, half(head.keys)) * width);
  float* query_gradients = memory.take(kQueryRows * width);
  float* means = memory.take(kQueryRows);
  float* log_sums = memory.take(kQueryRows);
  pack_panels(as_columns(head, head.k), key_columns);
  pack_panels(as_columns(head, head.v), value_columns);
  pack_pairs_of_keys(head, head.k, outputs, pairs, key_rows);
  std::fill_n(key_gradients, head.keys * width, 0.f);
  std::fill_n(value_gradients, head.keys * width, 0.f);
  for (std::int64_t begin = 0; begin < head.queries; begin += kQueryRows) {
    const std::int64_t rows = std::min(kQueryRows, head.queries - begin);
    gather_queries(head, begin, rows, width, queries);
    gather(head, gradients.output, begin, rows, width, outer);
    gather(head, head.output, begin, rows, width, outputs);
    for (std::int64_t r = 0; r < rows; ++r) log_sums[r] = head.log_sum[head.query_row(begin + r)];
    row_dots(outer, outputs, rows, width, means);  // = Σ_j p_j · dp_j
    round_rows(queries, rows, width, rounded);
    multiply_pair_panels(
        {rows, head.width / 2, head.keys, rounded, width / 2, 1, key_columns, scores, padded});
    round_rows(outer, rows, width, rounded);
    multiply_pair_panels(
        {rows, head.width / 2, head.keys, rounded, width / 2, 1, value_columns, score_gradient, padded});
    score_gradients({scores, rows, head.keys, padded}, score_gradient, log_sums, means);
    const auto add_transposed = [&](const float* left, const float* right, float* sums) {
      pair_rows(right, rows, width, pairs);
      pack_panels({pairs, half(rows), head.width, width, 1}, panels);
      pair_rows(left, rows, padded, rounded);
      multiply_pair_panels(
          {head.keys, half(rows), head.width, rounded, 1, padded, panels, sums, width, true});
    };
    add_transposed(scores, outer, value_gradients);
    add_transposed(score_gradient, queries, key_gradients);
    round_rows(score_gradient, rows, padded, rounded);
    multiply_pair_panels(
        {rows, half(head.keys), head.width, rounded, padded / 2, 1, key_rows, query_gradients, width});
    put_query_gradients(head, gradients.q, begin, rows, width, query_gradients);
  }
  put_key_gradients(head, gradients, width, key_gradients, value_gradients);
}

}  // namespace paddock::model
