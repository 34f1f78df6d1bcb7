// jobs/curate/similarity_join.h – which pairs are similar, and who is nearest: exact, by comparing
// everything. A join by threshold, not by a number of neighbours: a list of k neighbours would cut groups
// larger than k apart. n²/2 comparisons, blocked for the cache: about a second for ten thousand pictures on a
// core, minutes for a hundred thousand. Results do not depend on `threads`.
#pragma once

#include <cstdint>
#include <vector>

#include "jobs/curate/embeddings.h"

namespace paddock::curate {

// Rows a < b with similarity(a, b) at or above the threshold asked for.
struct Edge {
  std::uint32_t a = 0;
  std::uint32_t b = 0;
  std::int32_t similarity = 0;
  bool operator==(const Edge&) const = default;
};

// Every edge at or above `threshold`, by (a, b) ascending.
// Throws std::runtime_error when there are more than `edges_max`: the threshold is far too loose for this
// pool.
std::vector<Edge> join_above(const Embeddings& set, std::int32_t threshold, int threads,
                             std::size_t edges_max);

struct Neighbour {
  std::uint32_t row = 0;
  std::int32_t similarity = 0;
  bool operator==(const Neighbour&) const = default;
};

// For each of `queries` (rows of `set`) its `k` nearest among `candidates` (rows of `set`, ascending) but
// itself: most similar first, the smaller row first among equals.
std::vector<std::vector<Neighbour>> nearest(const Embeddings& set, const std::vector<std::uint32_t>& queries,
                                            const std::vector<std::uint32_t>& candidates, std::size_t k,
                                            int threads);

}  // namespace paddock::curate
