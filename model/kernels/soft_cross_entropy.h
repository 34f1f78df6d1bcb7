// model/kernels/soft_cross_entropy.h – cross-entropy between rows of targets and of scores, with its gradient, in one
// visit of each row: K scores and targets stay in the second-level cache while they are looked at three times.
// Scores and gradients are rows of T: float or Bfloat16; targets, sums and losses float32. Letters: K prototypes.
// Threads: pure functions on rows that do not overlap; a row is one thread's work.
#pragma once

#include <cstdint>

#include "model/kernels/bfloat16.h"

namespace paddock::model {

template <class T>
struct ScoredRows {
  const T* scores = nullptr;       // [rows, K]
  const float* targets = nullptr;  // [rows, K], at least 0; a row may sum to anything
  const float* weights = nullptr;  // one a row
  std::int64_t prototypes = 0;     // K
  float temperature = 1;           // above 0
  T* gradients = nullptr;          // out [rows, K]: of the sum of the losses; may be `scores`
  float* losses = nullptr;  // out, one a row: −weight · Σ_k target_k · log softmax(scores/temperature)_k
};
template <class T>
void soft_cross_entropy_rows(const ScoredRows<T>& in, std::int64_t begin, std::int64_t end);

}  // namespace paddock::model
