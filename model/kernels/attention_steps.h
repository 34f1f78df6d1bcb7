// model/kernels/attention_steps.h – what both forms of attention are made of (attention.cpp, pair_attention.cpp): rows in and
// out of a head, softmax and its gradient on a block of scores in cache. Threads: pure functions.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "model/kernels/attention.h"

namespace paddock::model {

// Queries at a time: their scores stay in the second-level cache beside the panels. Even.
inline constexpr std::int64_t kQueryRows = 48;

// Rows of scores [rows, keys], of which each has `padded` places.
struct ScoreBlock {
  float* scores = nullptr;
  std::int64_t rows = 0, keys = 0, padded = 0;
};

// scores → their exponentials relative to the row's greatest; sums and greatest: one a row.
void softmax_block(const ScoreBlock& block, float* sums, float* greatest);
// scores → probabilities p = e^(score − log_sum), and their gradients dp → those of the scores, p · (dp − means).
void score_gradients(const ScoreBlock& block, float* gradients, const float* log_sums, const float* means);
// a[r]·b[r], both [rows, width] in rows of `padded` places, the rest zeros.
void row_dots(const float* a, const float* b, std::int64_t rows, std::int64_t padded, float* dots);

void convert(const float* from, float* to, std::int64_t count);
void convert(const Bfloat16* from, float* to, std::int64_t count);
void convert(const float* from, Bfloat16* to, std::int64_t count);

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

template <class T>
float scale_of(const AttentionHead<T>& head) {
  return 1 / std::sqrt(static_cast<float>(head.width));
}

// Rows [begin, begin + count) of a head's queries into rows of `padded` places.
template <class T, class From>
void gather(const AttentionHead<T>& head, const HeadRows<From>& from, std::int64_t begin, std::int64_t count,
            std::int64_t padded, float* to) {
  for (std::int64_t r = 0; r < count; ++r) {
    convert(from.row(head.query_row(begin + r)), to + r * padded, head.width);
    std::fill(to + r * padded + head.width, to + (r + 1) * padded, 0.f);
  }
}

// The queries themselves: with their bias, divided by √width.
template <class T>
void gather_queries(const AttentionHead<T>& head, std::int64_t begin, std::int64_t count, std::int64_t padded,
                    float* to) {
  gather(head, head.q, begin, count, padded, to);
  const float scale = scale_of(head);
  for (std::int64_t r = 0; r < count; ++r) {
    float* row = to + r * padded;
    for (std::int64_t c = 0; c < head.width; ++c) row[c] = (row[c] + head.q_bias[c]) * scale;
  }
}

// Rows [begin, begin + rows) of the output from what a block has added up, and the sums' logarithms.
template <class T>
void put_outputs(const AttentionHead<T>& head, std::int64_t begin, std::int64_t rows, std::int64_t width,
                 float* outputs, const float* sums, const float* greatest) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const std::int64_t row = head.query_row(begin + r);
    const float share = 1 / sums[r];
    float* const output = outputs + r * width;
    for (std::int64_t c = 0; c < head.width; ++c) output[c] *= share;
    convert(output, head.output.row(row), head.width);
    if (head.log_sum != nullptr) head.log_sum[row] = greatest[r] + std::log(sums[r]);
  }
}

template <class T>
void put_query_gradients(const AttentionHead<T>& head, const HeadRows<T>& to, std::int64_t begin,
                         std::int64_t rows, std::int64_t width, float* gradients) {
  for (std::int64_t r = 0; r < rows; ++r) {
    float* const gradient = gradients + r * width;
    for (std::int64_t c = 0; c < head.width; ++c) gradient[c] *= scale_of(head);
    convert(gradient, to.row(head.query_row(begin + r)), head.width);
  }
}

template <class T>
void put_key_gradients(const AttentionHead<T>& head, const AttentionGradients<T>& to, std::int64_t width,
                       const float* of_keys, const float* of_values) {
  for (std::int64_t j = 0; j < head.keys; ++j) {
    convert(of_keys + j * width, to.k.row(j), head.width);
    convert(of_values + j * width, to.v.row(j), head.width);
  }
}

// pair_attention.cpp: products of pairs of bfloat16. Only where has_pair_products() (panel_product.h) and widths are even.
void attend_in_pairs(const AttentionHead<Bfloat16>& head, float* scratch);
void attend_in_pairs_backward(const AttentionHead<Bfloat16>& head,
                              const AttentionGradients<Bfloat16>& gradients, float* scratch);

}  // namespace paddock::model
