#include "model/kernels/attention.h"

#include <algorithm>
#include <cmath>

#include "model/kernels/panel_product.h"
#include "model/kernels/vector_forms.h"

namespace paddock::model {
namespace {

// Rows of scores [rows, keys], of which each has `padded` places.
struct ScoreBlock {
  float* scores = nullptr;
  std::int64_t rows = 0, keys = 0, padded = 0;
};

}  // namespace
}  // namespace paddock::model

#define PADDOCK_LOOPS "model/kernels/attention.inc"
#include "model/kernels/every_form.inc"

namespace paddock::model {
namespace {

// Queries at a time: their scores stay in the second-level cache beside the panels.
constexpr std::int64_t kBlock = 48;

void softmax_block(const ScoreBlock& block, float* sums, float* greatest) {
  PADDOCK_BEST_FORM(softmax_loop, block, sums, greatest);
}

void score_gradients(const ScoreBlock& block, float* gradients, const float* log_sums, const float* means) {
  PADDOCK_BEST_FORM(score_gradients_loop, block, gradients, log_sums, means);
}

void row_dots(const float* a, const float* b, std::int64_t rows, std::int64_t padded, float* dots) {
  PADDOCK_BEST_FORM(dots_loop, a, b, rows, padded, dots);
}

// Parts of the scratch memory, one after the other.
class Scratch {
 public:
  explicit Scratch(float* first) : next_(first) {}
  float* take(std::int64_t floats) {
    float* taken = next_;
    next_ += (floats + 15) / 16 * 16;
    return taken;
  }

 private:
  float* next_;
};

float scale_of(const AttentionHead& head) {
  return 1 / std::sqrt(static_cast<float>(head.width));
}

// Rows [begin, begin + count) of a head's queries into rows of `padded` places.
template <class Float>
void gather(const AttentionHead& head, const HeadRows<Float>& from, std::int64_t begin, std::int64_t count,
            std::int64_t padded, float* to) {
  for (std::int64_t r = 0; r < count; ++r) {
    std::copy_n(from.row(head.query_row(begin + r)), head.width, to + r * padded);
    std::fill(to + r * padded + head.width, to + (r + 1) * padded, 0.f);
  }
}

// The queries themselves: with their bias, divided by √width.
void gather_queries(const AttentionHead& head, std::int64_t begin, std::int64_t count, std::int64_t padded,
                    float* to) {
  gather(head, head.q, begin, count, padded, to);
  const float scale = scale_of(head);
  for (std::int64_t r = 0; r < count; ++r) {
    float* row = to + r * padded;
    for (std::int64_t c = 0; c < head.width; ++c) row[c] = (row[c] + head.q_bias[c]) * scale;
  }
}

// [width, keys]: the keys (or values) as columns.
StridedMatrix as_columns(const AttentionHead& head, const HeadRows<const float>& rows) {
  return {rows.first, head.width, head.keys, 1, rows.stride};
}
// [keys, width]
StridedMatrix as_rows(const AttentionHead& head, const HeadRows<const float>& rows) {
  return {rows.first, head.keys, head.width, rows.stride, 1};
}

}  // namespace

std::int64_t attention_scratch(std::int64_t keys, std::int64_t width) {
  const std::int64_t padded_keys = padded_columns(keys), padded_width = padded_columns(width);
  return 2 * width * padded_keys + 3 * keys * padded_width +
         kBlock * (2 * padded_keys + 6 * padded_width + 4) + 16 * 16;
}

void attend(const AttentionHead& head, float* scratch) {
  const std::int64_t padded = padded_columns(head.keys), width = padded_columns(head.width);
  Scratch memory(scratch);
  float* keys = memory.take(head.width * padded);
  float* values = memory.take(head.keys * width);
  float* scores = memory.take(kBlock * padded);
  float* queries = memory.take(kBlock * width);
  float* outputs = memory.take(kBlock * width);
  float* sums = memory.take(kBlock);
  float* greatest = memory.take(kBlock);
  pack_panels(as_columns(head, head.k), keys);
  pack_panels(as_rows(head, head.v), values);
  for (std::int64_t begin = 0; begin < head.queries; begin += kBlock) {
    const std::int64_t rows = std::min(kBlock, head.queries - begin);
    gather_queries(head, begin, rows, width, queries);
    multiply_panels({rows, head.width, head.keys, queries, width, 1, keys, scores, padded});
    softmax_block({scores, rows, head.keys, padded}, sums, greatest);
    multiply_panels({rows, head.keys, head.width, scores, padded, 1, values, outputs, width});
    for (std::int64_t r = 0; r < rows; ++r) {
      const std::int64_t row = head.query_row(begin + r);
      const float share = 1 / sums[r];
      for (std::int64_t c = 0; c < head.width; ++c) head.output.row(row)[c] = outputs[r * width + c] * share;
      if (head.log_sum != nullptr) head.log_sum[row] = greatest[r] + std::log(sums[r]);
    }
  }
}

void attend_backward(const AttentionHead& head, const AttentionGradients& gradients, float* scratch) {
  const std::int64_t padded = padded_columns(head.keys), width = padded_columns(head.width);
  Scratch memory(scratch);
  float* key_columns = memory.take(head.width * padded);
  float* value_columns = memory.take(head.width * padded);
  float* key_rows = memory.take(head.keys * width);
  float* key_gradients = memory.take(head.keys * width);
  float* value_gradients = memory.take(head.keys * width);
  float* scores = memory.take(kBlock * padded);
  float* score_gradient = memory.take(kBlock * padded);
  float* queries = memory.take(kBlock * width);
  float* outer = memory.take(kBlock * width);  // gradients of the outputs
  float* outputs = memory.take(kBlock * width);
  float* panels = memory.take(kBlock * width);
  float* query_gradients = memory.take(kBlock * width);
  float* means = memory.take(kBlock);
  float* log_sums = memory.take(kBlock);
  pack_panels(as_columns(head, head.k), key_columns);
  pack_panels(as_columns(head, head.v), value_columns);
  pack_panels(as_rows(head, head.k), key_rows);
  std::fill_n(key_gradients, head.keys * width, 0.f);
  std::fill_n(value_gradients, head.keys * width, 0.f);
  for (std::int64_t begin = 0; begin < head.queries; begin += kBlock) {
    const std::int64_t rows = std::min(kBlock, head.queries - begin);
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
    for (std::int64_t r = 0; r < rows; ++r) {
      float* to = gradients.q.row(head.query_row(begin + r));
      for (std::int64_t c = 0; c < head.width; ++c) to[c] = query_gradients[r * width + c] * scale_of(head);
    }
  }
  for (std::int64_t j = 0; j < head.keys; ++j) {
    std::copy_n(key_gradients + j * width, head.width, gradients.k.row(j));
    std::copy_n(value_gradients + j * width, head.width, gradients.v.row(j));
  }
}

}  // namespace paddock::model
