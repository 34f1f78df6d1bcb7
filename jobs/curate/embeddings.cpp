#include "jobs/curate/embeddings.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "data/vector_clones.h"

namespace paddock::curate {
namespace {

PADDOCK_INTEGER_VECTOR_CLONES
void dot_rows(const std::int16_t* query, const std::int16_t* rows, std::size_t count, std::size_t dim,
              std::int32_t* out) {
  for (std::size_t r = 0; r < count; ++r) {
    const std::int16_t* row = rows + r * dim;
    std::int32_t sum = 0;
    for (std::size_t d = 0; d < dim; ++d) sum += std::int32_t{query[d]} * std::int32_t{row[d]};
    out[r] = sum;
  }
}

}  // namespace

std::int32_t at_least(double cosine) {
  return static_cast<std::int32_t>(std::ceil(std::clamp(cosine, -1.5, 1.5) * kOne));
}

Embeddings::Embeddings(std::size_t dim) : dim_((dim + kLanes - 1) / kLanes * kLanes) {
  PADDOCK_REQUIRE(dim > 0);
}

void Embeddings::add(std::span<const float> vector) {
  PADDOCK_REQUIRE(vector.size() <= dim_, vector.size(), dim_);
  double squares = 0;
  for (const float component : vector) squares += static_cast<double>(component) * component;
  const double norm = std::sqrt(squares);
  const std::size_t start = values_.size();
  values_.resize(start + dim_, 0);
  if (!(norm > 0) || !std::isfinite(norm)) return;
  for (std::size_t d = 0; d < vector.size(); ++d)
    values_[start + d] = static_cast<std::int16_t>(std::lround(vector[d] / norm * kUnit));
}

void Embeddings::add_row(std::span<const std::int16_t> row) {
  PADDOCK_REQUIRE(row.size() == dim_, row.size(), dim_);
  values_.insert(values_.end(), row.begin(), row.end());
}

std::int32_t Embeddings::similarity(std::size_t a, std::size_t b) const {
  std::int32_t out = 0;
  dot_rows(row(a).data(), row(b).data(), 1, dim_, &out);
  return out;
}

void similarities(std::span<const std::int16_t> query, const Embeddings& set, std::size_t first,
                  std::size_t last, std::int32_t* out) {
  PADDOCK_REQUIRE(query.size() == set.dim() && first <= last && last <= set.size(), query.size(), first,
                  last);
  if (first < last) dot_rows(query.data(), set.row(first).data(), last - first, set.dim(), out);
}

}  // namespace paddock::curate
