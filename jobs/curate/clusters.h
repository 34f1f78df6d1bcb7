// jobs/curate/clusters.h – spherical k-means over fixed-point embeddings.
// Seeding is k-means++ with counter-based draws; sums are 64-bit integers, so they are exact in any order and
// the result does not depend on the number of threads. A cluster left empty takes the row that fits its own
// cluster worst.
#pragma once

#include <cstdint>
#include <vector>

#include "jobs/curate/embeddings.h"

namespace paddock::curate {

struct Clusters {
  std::vector<std::uint32_t> of;         // each row's cluster, in [0, k)
  std::vector<std::int32_t> similarity;  // of each row with its cluster's centre
  Embeddings centres;                    // k rows
};

// At most `k` clusters of `set` (fewer when it has fewer rows), `iterations` rounds of Lloyd or until nothing
// moves. `set` is not empty, k ≥ 1.
Clusters cluster(const Embeddings& set, std::size_t k, int iterations, std::uint64_t seed, int threads);

}  // namespace paddock::curate
