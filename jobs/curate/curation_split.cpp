// The steps that decide what is tested on and what is trained on.
#include <algorithm>
#include <cmath>
#include <map>

#include "jobs/curate/curation.h"
#include "jobs/curate/linkage.h"
#include "jobs/curate/selection.h"
#include "jobs/curate/similarity_join.h"

namespace paddock::curate {

HeldOut Curation::split(const Embeddings& kept) {
  const std::int32_t group = at_least(options_.held_out.group);
  const std::int32_t leak = at_least(options_.held_out.leak);
  const std::vector<Edge> edges = join_above(kept, std::min(group, leak), threads_, kEdgesMax);
  std::vector<Edge> group_edges;
  for (const Edge& edge : edges)
    if (edge.similarity >= group) group_edges.push_back(edge);
  const Groups groups = link(Linkage::kStar, best_first(), group_edges);
  HeldOutRules rules;
  rules.test_share = options_.held_out.share;
  rules.group_max = static_cast<std::uint32_t>(options_.held_out.group_max);
  rules.leak_similarity = leak;
  rules.seed = static_cast<std::uint64_t>(options_.seed);
  return hold_out(groups, contents(), edges, rules);
}

bool Curation::is_seed(const Picture& picture) const {
  return std::any_of(
      options_.selection.seeds.begin(), options_.selection.seeds.end(),
      [&](const std::string& seed) { return files_[picture.file].path.starts_with(seed + "/"); });
}

void Curation::hold_out_and_select() {
  report_.progress({{"phase", "split and select"}, {"steps", pictures_.size()}});
  const HeldOut held_out = split(*embeddings_);
  std::map<std::uint32_t, Leak> worst;  // of each leaking train picture, the most similar test picture
  for (const Leak& leak : held_out.leaks) {
    leaks_.push_back({files_[pictures_[leak.train].file].path, files_[pictures_[leak.test].file].path,
                      std::round(as_cosine(leak.similarity) * 1e4) / 1e4});
    const auto [at, is_new] = worst.try_emplace(leak.train, leak);
    if (!is_new && leak.similarity > at->second.similarity) at->second = leak;
  }
  std::vector<std::uint32_t> candidates;
  for (std::uint32_t p = 0; p < pictures_.size(); ++p) {
    Fate& fate = fates_[pictures_[p].file];
    if (held_out.side[p] == Side::kTest) fate.stage = Stage::kHeldOut;
    if (held_out.side[p] == Side::kTrain) candidates.push_back(p);
    if (held_out.side[p] != Side::kLeaked) continue;
    const auto at = worst.find(p);
    if (at != worst.end()) {
      mark(pictures_[p].file, Stage::kLeak, pictures_[at->second.test].file,
           as_cosine(at->second.similarity));
    } else {
      fate.stage = Stage::kLeak;
      fate.reason = "in a group with a picture that resembles a test picture";
    }
  }
  counts_["leak_pairs"] = leaks_.size();
  select_from(candidates, *embeddings_);
}

void Curation::select_from(const std::vector<std::uint32_t>& candidates, const Embeddings& kept) {
  SelectionRules rules;
  rules.neighbours = static_cast<std::size_t>(options_.selection.neighbours);
  rules.clusters = static_cast<std::size_t>(options_.selection.clusters);
  rules.cluster_seeds_min = static_cast<std::size_t>(options_.selection.cluster_seeds_min);
  rules.per_cluster = static_cast<std::size_t>(options_.selection.per_cluster);
  rules.seed = static_cast<std::uint64_t>(options_.seed);
  std::vector<bool> seeds;
  std::vector<std::string> hashes;
  for (const std::uint32_t candidate : candidates) {
    seeds.push_back(is_seed(pictures_[candidate]));
    hashes.push_back(files_[pictures_[candidate].file].content);
  }
  const Selection selection = select(kept, candidates, seeds, hashes, rules, threads_);
  counts_["seeds"] = std::count(seeds.begin(), seeds.end(), true);
  counts_["neighbours_counted"] = selection.neighbours_counted;
  counts_["clusters_used"] = selection.clusters_used;
  for (std::size_t c = 0; c < candidates.size(); ++c) {
    Fate& fate = fates_[pictures_[candidates[c]].file];
    const Choice& choice = selection.choices[c];
    switch (choice.way) {
      case Choice::Way::kNotSelected:
        fate.stage = Stage::kNotSelected;
        break;
      case Choice::Way::kAll:
        fate.stage = Stage::kAll;
        break;
      case Choice::Way::kSeed:
        fate.stage = Stage::kSeed;
        break;
      case Choice::Way::kNeighbour:
        mark(pictures_[candidates[c]].file, Stage::kNeighbour, pictures_[choice.partner].file,
             as_cosine(choice.similarity));
        break;
      case Choice::Way::kCluster:
        fate.stage = Stage::kCluster;
        fate.similarity = as_cosine(choice.similarity);
        break;
    }
  }
}

}  // namespace paddock::curate
