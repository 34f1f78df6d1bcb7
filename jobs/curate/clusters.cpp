#include "jobs/curate/clusters.h"

#include <algorithm>

#include "base/check.h"
#include "base/random.h"
#include "jobs/parallel_for.h"

namespace paddock::curate {
namespace {

constexpr std::size_t kRowsPerTask = 256;

// Calls `work(first, last)` over slices of [0, n).
template <typename Work>
void over_slices(std::size_t n, int threads, const Work& work) {
  jobs::parallel_for((n + kRowsPerTask - 1) / kRowsPerTask, threads, [&](std::size_t slice) {
    work(slice * kRowsPerTask, std::min((slice + 1) * kRowsPerTask, n));
  });
}

// k-means++: each next centre is drawn with a chance in proportion to 1 − its similarity with the nearest
// centre so far (half the squared distance of unit vectors).
Embeddings seed_centres(const Embeddings& set, std::size_t k, std::uint64_t seed, int threads) {
  Embeddings centres(set.dim());
  std::vector<std::int64_t> distance(set.size(), std::int64_t{2} * kOne);
  std::vector<std::int32_t> scores(set.size());
  Draws draws(seed, 0, Purpose::kCluster);
  std::size_t chosen = draws.below(set.size());
  for (;;) {
    centres.add_row(set.row(chosen));
    if (centres.size() == k) return centres;
    over_slices(set.size(), threads, [&](std::size_t first, std::size_t last) {
      similarities(set.row(chosen), set, first, last, scores.data() + first);
      for (std::size_t row = first; row < last; ++row)
        distance[row] = std::clamp<std::int64_t>(std::int64_t{kOne} - scores[row], 0, distance[row]);
    });
    distance[chosen] = 0;
    std::uint64_t total = 0;
    for (const std::int64_t d : distance) total += static_cast<std::uint64_t>(d);
    if (total == 0) return centres;  // every row is a copy of a centre
    std::uint64_t left = draws.below(total);
    chosen = 0;
    while (left >= static_cast<std::uint64_t>(distance[chosen]))
      left -= static_cast<std::uint64_t>(distance[chosen++]);
  }
}

// Moves every row to its most similar centre (the first among equals). Returns how many moved.
std::size_t assign(const Embeddings& set, Clusters& clusters, int threads) {
  std::vector<std::uint8_t> moved(set.size(), 0);
  over_slices(set.size(), threads, [&](std::size_t first, std::size_t last) {
    std::vector<std::int32_t> scores(clusters.centres.size());
    for (std::size_t row = first; row < last; ++row) {
      similarities(set.row(row), clusters.centres, 0, scores.size(), scores.data());
      const auto best = std::max_element(scores.begin(), scores.end());
      const auto centre = static_cast<std::uint32_t>(best - scores.begin());
      moved[row] = centre != clusters.of[row];
      clusters.of[row] = centre;
      clusters.similarity[row] = *best;
    }
  });
  return static_cast<std::size_t>(std::count(moved.begin(), moved.end(), 1));
}

void fill_empty(Clusters& clusters) {
  std::vector<std::size_t> sizes(clusters.centres.size(), 0);
  for (const std::uint32_t centre : clusters.of) ++sizes[centre];
  for (std::uint32_t centre = 0; centre < sizes.size(); ++centre) {
    if (sizes[centre] > 0) continue;
    std::size_t worst = clusters.of.size();
    for (std::size_t row = 0; row < clusters.of.size(); ++row)
      if (sizes[clusters.of[row]] > 1 &&
          (worst == clusters.of.size() || clusters.similarity[row] < clusters.similarity[worst]))
        worst = row;
    if (worst == clusters.of.size()) return;
    --sizes[clusters.of[worst]];
    ++sizes[centre];
    clusters.of[worst] = centre;
    clusters.similarity[worst] = kOne;
  }
}

Embeddings means(const Embeddings& set, const Clusters& clusters) {
  std::vector<std::int64_t> sums(clusters.centres.size() * set.dim(), 0);
  for (std::size_t row = 0; row < set.size(); ++row) {
    std::int64_t* sum = sums.data() + clusters.of[row] * set.dim();
    const std::int16_t* values = set.row(row).data();
    for (std::size_t d = 0; d < set.dim(); ++d) sum[d] += values[d];
  }
  Embeddings centres(set.dim());
  std::vector<float> mean(set.dim());
  for (std::size_t centre = 0; centre < clusters.centres.size(); ++centre) {
    for (std::size_t d = 0; d < set.dim(); ++d) mean[d] = static_cast<float>(sums[centre * set.dim() + d]);
    centres.add(mean);
  }
  return centres;
}

}  // namespace

Clusters cluster(const Embeddings& set, std::size_t k, int iterations, std::uint64_t seed, int threads) {
  PADDOCK_REQUIRE(set.size() > 0 && k > 0, set.size(), k);
  Clusters clusters{std::vector<std::uint32_t>(set.size(), 0), std::vector<std::int32_t>(set.size(), 0),
                    seed_centres(set, std::min(k, set.size()), seed, threads)};
  assign(set, clusters, threads);
  for (int round = 0; round < iterations; ++round) {
    fill_empty(clusters);
    clusters.centres = means(set, clusters);
    if (assign(set, clusters, threads) == 0) break;
  }
  return clusters;
}

}  // namespace paddock::curate
