// model/kernels/sinkhorn.h – the passes over memory of sinkhorn_knopp.h: a row of K numbers stays in the cache while all that
// one iteration wants of it is done. Letters: K prototypes; Q [rows, K]; u a factor of a row, r of a column.
// Threads: pure functions on rows that do not overlap; a row is one thread's work, in a fixed order.
#pragma once

#include <cstdint>

#include "model/kernels/bfloat16.h"

namespace paddock::model {

// Q_rk = exp((score_rk − the row's greatest) · sharpness), and greatest_r = the row's greatest · sharpness.
template <class T>
struct SinkhornScores {
  const T* scores = nullptr;  // [rows, K]
  std::int64_t prototypes = 0;
  float sharpness = 1;  // 1 / temperature
  float* q = nullptr;   // out
  float* greatest = nullptr;
};
template <class T>
void sinkhorn_exponentials(const SinkhornScores<T>& in, std::int64_t begin, std::int64_t end);

struct SinkhornRows {
  float* q = nullptr;  // [rows, K]
  std::int64_t prototypes = 0;
  float* u = nullptr;  // [rows]
};
// mass_k += Σ_r u_r · Q_rk.
void sinkhorn_add_mass(const SinkhornRows& rows, float* mass, std::int64_t begin, std::int64_t end);
// u_r = 1 / max(Σ_k Q_rk · r_k, floor), and with these the same.
void sinkhorn_factors_and_mass(const SinkhornRows& rows, const float* r, float floor, float* mass,
                               std::int64_t begin, std::int64_t end);
// The same factors; Q_rk becomes u_r · Q_rk · r_k.
void sinkhorn_factors_and_result(const SinkhornRows& rows, const float* r, float floor, std::int64_t begin,
                                 std::int64_t end);

}  // namespace paddock::model
