#include "jobs/curate/selection.h"

#include <algorithm>

#include "base/check.h"
#include "base/random.h"
#include "jobs/curate/clusters.h"
#include "jobs/curate/held_out.h"
#include "jobs/curate/similarity_join.h"

namespace paddock::curate {
namespace {

void select_neighbours(const Embeddings& set, const std::vector<std::uint32_t>& candidates,
                       const std::vector<bool>& is_seed, std::size_t k, int threads, Selection& selection) {
  std::vector<std::uint32_t> seeds;
  for (std::size_t c = 0; c < candidates.size(); ++c)
    if (is_seed[c]) seeds.push_back(candidates[c]);
  const auto found = nearest(set, seeds, candidates, k, threads);
  for (std::size_t s = 0; s < seeds.size(); ++s)
    for (const Neighbour& neighbour : found[s]) {
      ++selection.neighbours_counted;
      const auto at =
          std::lower_bound(candidates.begin(), candidates.end(), neighbour.row) - candidates.begin();
      Choice& choice = selection.choices[static_cast<std::size_t>(at)];
      if (choice.way == Choice::Way::kSeed) continue;
      if (choice.way != Choice::Way::kNeighbour || neighbour.similarity > choice.similarity)
        choice = {Choice::Way::kNeighbour, seeds[s], neighbour.similarity};
    }
}

void select_from_clusters(const Embeddings& set, const std::vector<std::uint32_t>& candidates,
                          const std::vector<bool>& is_seed, const std::vector<std::string>& content_hashes,
                          const SelectionRules& rules, int threads, Selection& selection) {
  Embeddings rows(set.dim());
  for (const std::uint32_t candidate : candidates) rows.add_row(set.row(candidate));
  const Clusters clusters = cluster(rows, rules.clusters, rules.iterations, rules.seed, threads);
  const bool any_seeds = std::find(is_seed.begin(), is_seed.end(), true) != is_seed.end();
  std::vector<std::size_t> seeds_in(clusters.centres.size(), 0);
  std::vector<std::vector<std::size_t>> members(clusters.centres.size());
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    seeds_in[clusters.of[c]] += is_seed[c];
    members[clusters.of[c]].push_back(c);
  }
  // The order within a cluster belongs to the contents, so that the cap does not depend on names.
  const auto key = [&](std::size_t c) {
    return std::pair(Draws(rules.seed, draw_position(content_hashes[c]), Purpose::kCluster, 1).u64(),
                     content_hashes[c]);
  };
  for (std::size_t centre = 0; centre < members.size(); ++centre) {
    if (any_seeds && seeds_in[centre] < rules.cluster_seeds_min) continue;
    ++selection.clusters_used;
    std::vector<std::size_t>& cluster_members = members[centre];
    std::sort(cluster_members.begin(), cluster_members.end(),
              [&](std::size_t x, std::size_t y) { return key(x) < key(y); });
    cluster_members.resize(std::min(cluster_members.size(), rules.per_cluster));
    for (const std::size_t c : cluster_members)
      if (selection.choices[c].way == Choice::Way::kNotSelected)
        selection.choices[c] = {Choice::Way::kCluster, 0, clusters.similarity[c]};
  }
}

}  // namespace

Selection select(const Embeddings& set, const std::vector<std::uint32_t>& candidates,
                 const std::vector<bool>& is_seed, const std::vector<std::string>& content_hashes,
                 const SelectionRules& rules, int threads) {
  PADDOCK_REQUIRE(candidates.size() == is_seed.size() && candidates.size() == content_hashes.size());
  Selection selection;
  selection.choices.resize(candidates.size());
  const bool any_seeds = std::find(is_seed.begin(), is_seed.end(), true) != is_seed.end();
  if (candidates.empty() || (!any_seeds && rules.clusters == 0)) {
    for (Choice& choice : selection.choices) choice.way = Choice::Way::kAll;
    return selection;
  }
  for (std::size_t c = 0; c < candidates.size(); ++c)
    if (is_seed[c]) selection.choices[c].way = Choice::Way::kSeed;
  if (any_seeds && rules.neighbours > 0)
    select_neighbours(set, candidates, is_seed, rules.neighbours, threads, selection);
  if (rules.clusters > 0)
    select_from_clusters(set, candidates, is_seed, content_hashes, rules, threads, selection);
  return selection;
}

}  // namespace paddock::curate
