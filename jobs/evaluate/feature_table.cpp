#include "jobs/evaluate/feature_table.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "data/vector_clones.h"

namespace paddock::evaluate {
namespace {

constexpr std::size_t kLanes = 32;  // independent partial sums, which the compiler keeps in vector registers
constexpr std::size_t kTileBytes = 128
                                   << 10;  // of the bank, which stay in the cache while all queries meet them

// Q queries with one row at a time: what is loaded of the row serves all of them.
template <std::size_t Q>
[[gnu::always_inline]] inline void dot_with_row(const float* queries, const float* row, std::size_t dim,
                                                float* sums) {
  float lanes[Q][kLanes] = {};
  std::size_t d = 0;
  for (; d + kLanes <= dim; d += kLanes)
    for (std::size_t q = 0; q < Q; ++q)
      for (std::size_t lane = 0; lane < kLanes; ++lane)
        lanes[q][lane] += queries[q * dim + d + lane] * row[d + lane];
  for (std::size_t q = 0; q < Q; ++q) {
    float sum = 0;
    for (std::size_t rest = d; rest < dim; ++rest) sum += queries[q * dim + rest] * row[rest];
    for (const float lane : lanes[q]) sum += lane;
    sums[q] = sum;
  }
}

// Rows [first, last) of the bank with `count` queries; out[q · rows + b].
PADDOCK_VECTOR_CLONES
void dot_tile(const float* queries, std::size_t count, const float* bank, std::size_t first, std::size_t last,
              std::size_t rows, std::size_t dim, float* out) {
  constexpr std::size_t kTogether = 4;
  float sums[kTogether];
  std::size_t q = 0;
  for (; q + kTogether <= count; q += kTogether) {
    for (std::size_t b = first; b < last; ++b) {
      dot_with_row<kTogether>(queries + q * dim, bank + b * dim, dim, sums);
      for (std::size_t i = 0; i < kTogether; ++i) out[(q + i) * rows + b] = sums[i];
    }
  }
  for (; q < count; ++q)
    for (std::size_t b = first; b < last; ++b)
      dot_with_row<1>(queries + q * dim, bank + b * dim, dim, out + q * rows + b);
}

}  // namespace

FeatureTable l2_normalised(FeatureTable table) {
  for (std::size_t r = 0; r < table.size(); ++r) {
    float* row = table.values.data() + r * table.dim;
    double squares = 0;
    for (std::size_t d = 0; d < table.dim; ++d) squares += static_cast<double>(row[d]) * row[d];
    const auto scale = static_cast<float>(squares > 0 ? 1 / std::sqrt(squares) : 0);
    for (std::size_t d = 0; d < table.dim; ++d) row[d] *= scale;
  }
  return table;
}

void dot_with_rows(const FeatureTable& queries, std::size_t first, std::size_t last, const FeatureTable& bank,
                   float* out) {
  PADDOCK_REQUIRE(queries.dim == bank.dim, queries.dim, bank.dim);
  const std::size_t tile =
      std::max<std::size_t>(kTileBytes / sizeof(float) / std::max<std::size_t>(bank.dim, 1), 1);
  for (std::size_t row = 0; row < bank.size(); row += tile)
    dot_tile(queries.values.data() + first * queries.dim, last - first, bank.values.data(), row,
             std::min(row + tile, bank.size()), bank.size(), bank.dim, out);
}

}  // namespace paddock::evaluate
