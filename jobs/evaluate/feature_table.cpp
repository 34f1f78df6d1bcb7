#include "jobs/evaluate/feature_table.h"

#include <cmath>

#include "base/check.h"
#include "data/vector_clones.h"

namespace paddock::evaluate {
namespace {

PADDOCK_VECTOR_CLONES
void dot_rows(const float* query, const float* rows, std::size_t count, std::size_t dim, float* out) {
  constexpr std::size_t kLanes =
      32;  // independent partial sums, which the compiler keeps in vector registers
  for (std::size_t r = 0; r < count; ++r) {
    const float* row = rows + r * dim;
    float lanes[kLanes] = {};
    std::size_t d = 0;
    for (; d + kLanes <= dim; d += kLanes)
      for (std::size_t lane = 0; lane < kLanes; ++lane) lanes[lane] += query[d + lane] * row[d + lane];
    float sum = 0;
    for (; d < dim; ++d) sum += query[d] * row[d];
    for (const float lane : lanes) sum += lane;
    out[r] = sum;
  }
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

void dot_with_rows(std::span<const float> query, const FeatureTable& bank, float* out) {
  PADDOCK_REQUIRE(query.size() == bank.dim, query.size(), bank.dim);
  dot_rows(query.data(), bank.values.data(), bank.size(), bank.dim, out);
}

}  // namespace paddock::evaluate
