// jobs/curate/linkage.h – from similar pairs to groups, each with the one picture that stands for it.
// star: go through the pictures from the best; one that is similar to a better picture already kept joins the
// most
//   similar such; any other is kept. No chains: every member is similar to its representative itself.
// components: everything connected by edges is one group (as in the DINOv2 paper). Chains happen: the ends of
// a group may
//   look nothing alike.
// Deterministic in (order, edges); the order of the edges does not matter. Threads: pure functions.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "jobs/curate/similarity_join.h"

namespace paddock::curate {

enum class Linkage { kStar, kComponents };
// "star" or "components"; throws std::invalid_argument for anything else.
Linkage linkage_named(std::string_view name);

struct Groups {
  std::vector<std::uint32_t>
      representative;  // of each row; its own index for the one that stands for the group
  std::vector<std::uint32_t> sizes() const;  // of each group, at the index of its representative; 0 elsewhere
};

// `order`: every row once, the best first; the best of a group represents it.
Groups link(Linkage linkage, const std::vector<std::uint32_t>& order, const std::vector<Edge>& edges);

}  // namespace paddock::curate
