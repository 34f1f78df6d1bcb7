// jobs/curate/embeddings.h – a set of unit vectors in fixed point, and their cosine similarities.
// Components are 16-bit integers, 2^14 standing for 1, so that a dot product is an exact 32-bit integer: it
// does not depend on the order of summation, the number of threads, the width of the vector unit or the
// compiler. Everything that curation decides from similarities (duplicates, groups, clusters, neighbours) is
// therefore the same everywhere. The price is an error of about 1e-4 in a similarity. Threads: const members
// from any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace paddock::curate {

inline constexpr std::int32_t kUnit = 1 << 14;
inline constexpr std::int32_t kOne =
    kUnit * kUnit;  // the similarity of a vector with itself, but for rounding

// A similarity as people read it: cosine in [-1, 1].
inline double as_cosine(std::int32_t similarity) {
  return static_cast<double>(similarity) / kOne;
}
// The smallest integer similarity that counts as `cosine` or more.
std::int32_t at_least(double cosine);

class Embeddings {
 public:
  // `dim` is rounded up to a multiple of kLanes; the components added are zero.
  explicit Embeddings(std::size_t dim);

  // Appends the direction of `vector` (of the `dim` given to the constructor, or fewer). A zero or non-finite
  // vector has none: it becomes the zero row, which is similar to nothing.
  void add(std::span<const float> vector);
  // Appends a row that is in fixed point already (row() of another set of the same dim).
  void add_row(std::span<const std::int16_t> row);

  std::size_t size() const { return values_.size() / dim_; }
  std::size_t dim() const { return dim_; }
  std::span<const std::int16_t> row(std::size_t index) const { return {values_.data() + index * dim_, dim_}; }
  std::int32_t similarity(std::size_t a, std::size_t b) const;

  static constexpr std::size_t kLanes = 32;

 private:
  std::size_t dim_;
  std::vector<std::int16_t> values_;
};

// out[j - first] = similarity of `query` with row j of `set` for j in [first, last). The rows have the same
// dim.
void similarities(std::span<const std::int16_t> query, const Embeddings& set, std::size_t first,
                  std::size_t last, std::int32_t* out);

}  // namespace paddock::curate
