// jobs/curate/selection.h – which of the pictures outside the test set are trained on.
// As in the DINOv2 paper (arXiv 2304.07193, appendix A): pictures near a few seed pictures, by two ways.
// Sample-based: the nearest neighbours of each seed. Cluster-based: the pool is clustered, and clusters that
// hold enough seeds give pictures up to a cap. Both without a reference set of our own: the seeds are
// pictures of the pool itself and are always kept. With no seeds and no clusters everything is kept; clusters
// alone balance the pool. Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jobs/curate/embeddings.h"

namespace paddock::curate {

struct SelectionRules {
  std::size_t neighbours = 8;         // of each seed
  std::size_t clusters = 0;           // 0: no cluster-based part
  std::size_t cluster_seeds_min = 3;  // a cluster gives pictures when it holds at least this many seeds
  std::size_t per_cluster = 64;       // and at most this many
  int iterations = 20;
  std::uint64_t seed = 0;
};

struct Choice {
  enum class Way : std::uint8_t { kNotSelected, kAll, kSeed, kNeighbour, kCluster };
  Way way = Way::kNotSelected;
  std::uint32_t partner = 0;    // kNeighbour: the seed; otherwise unused
  std::int32_t similarity = 0;  // kNeighbour: to that seed; kCluster: to the centre
};

struct Selection {
  std::vector<Choice> choices;         // for each candidate
  std::size_t neighbours_counted = 0;  // seeds × neighbours, with repetition; distinct ones are fewer
  std::size_t clusters_used = 0;
};

// `candidates`: rows of `set`, ascending; `is_seed`: for each candidate; `content_hashes`: for each
// candidate.
Selection select(const Embeddings& set, const std::vector<std::uint32_t>& candidates,
                 const std::vector<bool>& is_seed, const std::vector<std::string>& content_hashes,
                 const SelectionRules& rules, int threads);

}  // namespace paddock::curate
