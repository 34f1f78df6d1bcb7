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

// out[(q − first) · rows + b] = dot(query q, bank row b) for queries first … last − 1 and every row. The sums run in a fixed order, so
// results depend neither on threads nor on which queries come together; some dozen together read the bank once for all.
void dot_with_rows(const FeatureTable& queries, std::size_t first, std::size_t last, const FeatureTable& bank,
                   float* out);

}  // namespace paddock::evaluate
