// model/kernels/attention.h – softmax(q·kᵀ/√d)·v of one head of one image, forward and backward, in cache.
// The scores are made a block of queries at a time and made again in the backward pass, so no [queries,
// keys] matrix is ever
// kept (the idea of FlashAttention, arXiv 2205.14135; keys are few enough here to be held whole). Rows of T,
// float or Bfloat16; inside all is float32.
// Threads: pure functions; a head is one thread's work, so the number of threads changes no bit.
#pragma once

#include <cstdint>

#include "model/kernels/bfloat16.h"

namespace paddock::model {

// Rows of a larger matrix, a head's columns at `first`.
template <class T>
struct HeadRows {
  T* first = nullptr;
  std::int64_t stride = 0;
  T* row(std::int64_t i) const { return first + i * stride; }
};

template <class T>
struct AttentionHead {
  std::int64_t queries = 0, keys = 0, width = 0;
  const std::int64_t* query_rows =
      nullptr;  // query i is row query_rows[i] of q, output, log_sum and their gradients; null: i
  HeadRows<const T> q, k, v;
  const float* q_bias = nullptr;  // [width], added to each query
  HeadRows<T> output;
  float* log_sum = nullptr;  // of the exponentials of a query's scores: what the backward pass needs

  std::int64_t query_row(std::int64_t i) const { return query_rows == nullptr ? i : query_rows[i]; }
};

template <class T>
struct AttentionGradients {
  HeadRows<const T> output;
  HeadRows<T> q, k, v;
};

// Floats of scratch memory for either function.
std::int64_t attention_scratch(std::int64_t keys, std::int64_t width);

template <class T>
void attend(const AttentionHead<T>& head, float* scratch);
template <class T>
void attend_backward(const AttentionHead<T>& head, const AttentionGradients<T>& gradients, float* scratch);

}  // namespace paddock::model
