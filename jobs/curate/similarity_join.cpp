#include "jobs/curate/similarity_join.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <stdexcept>
#include <string>

#include "jobs/parallel_for.h"

namespace paddock::curate {
namespace {

// 64 rows of 600 components are 75 KiB: a block of columns stays in the second-level cache while a block of
// rows passes.
constexpr std::size_t kBlock = 64;

}  // namespace

std::vector<Edge> join_above(const Embeddings& set, std::int32_t threshold, int threads,
                             std::size_t edges_max) {
  const std::size_t blocks = (set.size() + kBlock - 1) / kBlock;
  std::vector<std::vector<Edge>> found(blocks);
  std::atomic<std::size_t> total{0};
  jobs::parallel_for(blocks, threads, [&](std::size_t block) {
    const std::size_t first = block * kBlock;
    const std::size_t last = std::min(first + kBlock, set.size());
    std::array<std::int32_t, kBlock> scores;
    std::vector<Edge>& edges = found[block];
    for (std::size_t columns = first; columns < set.size(); columns += kBlock) {
      const std::size_t columns_end = std::min(columns + kBlock, set.size());
      const std::size_t before = edges.size();
      for (std::size_t a = first; a < last; ++a) {
        similarities(set.row(a), set, columns, columns_end, scores.data());
        for (std::size_t b = std::max(columns, a + 1); b < columns_end; ++b)
          if (scores[b - columns] >= threshold)
            edges.push_back(
                {static_cast<std::uint32_t>(a), static_cast<std::uint32_t>(b), scores[b - columns]});
      }
      if ((total += edges.size() - before) > edges_max)
        throw std::runtime_error("curate: more than " + std::to_string(edges_max) +
                                 " pairs of pictures are over the similarity threshold " +
                                 std::to_string(as_cosine(threshold)) + "; raise it");
    }
    std::sort(edges.begin(), edges.end(),
              [](const Edge& x, const Edge& y) { return std::pair(x.a, x.b) < std::pair(y.a, y.b); });
  });
  std::vector<Edge> all;
  all.reserve(total);
  for (const std::vector<Edge>& edges : found) all.insert(all.end(), edges.begin(), edges.end());
  return all;
}

std::vector<std::vector<Neighbour>> nearest(const Embeddings& set, const std::vector<std::uint32_t>& queries,
                                            const std::vector<std::uint32_t>& candidates, std::size_t k,
                                            int threads) {
  Embeddings rows(set.dim());
  for (const std::uint32_t candidate : candidates) rows.add_row(set.row(candidate));
  std::vector<std::vector<Neighbour>> found(queries.size());
  jobs::parallel_for(queries.size(), threads, [&](std::size_t q) {
    std::vector<std::int32_t> scores(candidates.size());
    similarities(set.row(queries[q]), rows, 0, rows.size(), scores.data());
    std::vector<Neighbour> neighbours;
    neighbours.reserve(candidates.size());
    for (std::size_t c = 0; c < candidates.size(); ++c)
      if (candidates[c] != queries[q]) neighbours.push_back({candidates[c], scores[c]});
    const auto kept = static_cast<std::ptrdiff_t>(std::min(k, neighbours.size()));
    std::partial_sort(neighbours.begin(), neighbours.begin() + kept, neighbours.end(),
                      [](const Neighbour& x, const Neighbour& y) {
                        return x.similarity != y.similarity ? x.similarity > y.similarity : x.row < y.row;
                      });
    neighbours.resize(static_cast<std::size_t>(kept));
    found[q] = std::move(neighbours);
  });
  return found;
}

}  // namespace paddock::curate
