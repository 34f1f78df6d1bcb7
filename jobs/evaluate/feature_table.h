// jobs/evaluate/feature_table.h – one vector a picture, row by row: what every protocol here works on.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace paddock::evaluate {

struct FeatureTable {
  std::size_t dim = 0;
  std::vector<float> values;  // [size, dim]

  std::size_t size() const { return dim == 0 ? 0 : values.size() / dim; }
  std::span<const float> row(std::size_t index) const { return {values.data() + index * dim, dim}; }
};

// Every row scaled to length 1 (zero rows stay zero).
FeatureTable l2_normalised(FeatureTable table);

// out[b] = dot(query, bank row b) for every row. The sums run in a fixed order, so results do not depend on
// threads.
void dot_with_rows(std::span<const float> query, const FeatureTable& bank, float* out);

}  // namespace paddock::evaluate
