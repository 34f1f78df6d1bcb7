#include "jobs/evaluate/nearest_neighbours.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/check.h"
#include "jobs/parallel_for.h"

namespace paddock::evaluate {

namespace {

constexpr std::size_t kQueriesTogether = 16;

std::vector<double> mean_of(const FeatureTable& table) {
  std::vector<double> mean(table.dim, 0);
  for (std::size_t r = 0; r < table.size(); ++r)
    for (std::size_t d = 0; d < table.dim; ++d)
      mean[d] += table.row(r)[d] / static_cast<double>(table.size());
  return mean;
}

// Rows about a centre, with what the similarity needs of each row.
struct Centred {
  FeatureTable rows;
  std::vector<double> squares;  // of the row about the centre
  std::vector<double> lengths;  // of the row itself: 1 or 0
};

Centred centred(const FeatureTable& table, const std::vector<double>& centre) {
  Centred out{table, {}, {}};
  for (std::size_t r = 0; r < table.size(); ++r) {
    double squares = 0;
    bool is_zero = true;
    for (std::size_t d = 0; d < table.dim; ++d) {
      float& value = out.rows.values[r * table.dim + d];
      is_zero = is_zero && value == 0;
      value = static_cast<float>(value - centre[d]);
      squares += static_cast<double>(value) * value;
    }
    out.squares.push_back(squares);
    out.lengths.push_back(is_zero ? 0 : 1);
  }
  return out;
}

// The `kept` rows of the bank nearest to query q, by its products with all of them.
std::vector<Scored> best_rows(const float* products, const Centred& queries, std::size_t q,
                              const Centred& bank, std::size_t kept) {
  std::vector<Scored> scored(bank.rows.size());
  for (std::uint32_t b = 0; b < scored.size(); ++b) {
    const double distance = queries.squares[q] + bank.squares[b] - 2 * static_cast<double>(products[b]);
    scored[b] = {b, (queries.lengths[q] + bank.lengths[b] - distance) / 2};
  }
  std::partial_sort(scored.begin(), scored.begin() + static_cast<std::ptrdiff_t>(kept), scored.end(),
                    [](const Scored& x, const Scored& y) {
                      return x.similarity != y.similarity ? x.similarity > y.similarity : x.row < y.row;
                    });
  scored.resize(kept);
  scored.shrink_to_fit();  // 10,000 queries of a bank of 50,000 would hold 8 GB otherwise
  return scored;
}

}  // namespace

std::vector<std::vector<Scored>> nearest_rows(const FeatureTable& queries, const FeatureTable& bank,
                                              std::size_t k, int threads) {
  PADDOCK_REQUIRE(queries.dim == bank.dim, queries.dim, bank.dim);
  const std::size_t kept = std::min(k, bank.size());
  const std::vector<double> centre = mean_of(bank);
  const Centred bank_rows = centred(bank, centre);
  const Centred query_rows = centred(queries, centre);
  std::vector<std::vector<Scored>> found(queries.size());
  const std::size_t groups = (queries.size() + kQueriesTogether - 1) / kQueriesTogether;
  jobs::parallel_for(groups, threads, [&](std::size_t group) {
    const std::size_t first = group * kQueriesTogether,
                      last = std::min(first + kQueriesTogether, queries.size());
    std::vector<float> products((last - first) * bank.size());
    dot_with_rows(query_rows.rows, first, last, bank_rows.rows, products.data());
    for (std::size_t q = first; q < last; ++q)
      found[q] = best_rows(products.data() + (q - first) * bank.size(), query_rows, q, bank_rows, kept);
  });
  return found;
}

std::vector<KnnResult> classify(const std::vector<std::vector<Scored>>& neighbours,
                                const std::vector<std::int32_t>& bank_labels, std::size_t classes,
                                const std::vector<std::int64_t>& ks, double temperature) {
  PADDOCK_REQUIRE(temperature > 0 && !ks.empty() && !bank_labels.empty(), temperature, ks.size());
  std::set<std::size_t> clipped;
  for (const std::int64_t k : ks)
    clipped.insert(std::min(static_cast<std::size_t>(std::max<std::int64_t>(k, 1)), bank_labels.size()));
  std::vector<KnnResult> results;
  for (const std::size_t k : clipped) results.push_back({k, std::vector<KnnPrediction>(neighbours.size())});
  for (std::size_t q = 0; q < neighbours.size(); ++q) {
    const std::size_t k_max = *clipped.rbegin();
    PADDOCK_REQUIRE(neighbours[q].size() >= k_max, neighbours[q].size(), k_max);
    std::vector<double> weights(k_max);
    double total = 0;
    for (std::size_t i = 0; i < k_max; ++i) {
      weights[i] = std::exp((neighbours[q][i].similarity - neighbours[q][0].similarity) / temperature);
      total += weights[i];
    }
    for (KnnResult& result : results) {
      std::vector<double> votes(classes, 0);
      double cast = 0;
      for (std::size_t i = 0; i < result.k; ++i) {
        votes[static_cast<std::size_t>(bank_labels[neighbours[q][i].row])] += weights[i] / total;
        cast += weights[i] / total;
      }
      const auto best = std::max_element(votes.begin(), votes.end());
      result.predictions[q] = {static_cast<std::int32_t>(best - votes.begin()),
                               static_cast<float>(*best / cast)};
    }
  }
  return results;
}

}  // namespace paddock::evaluate
