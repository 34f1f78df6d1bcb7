#include "scheduler/preemption.h"

#include <algorithm>
#include <string>
#include <vector>

#include "scheduler/attempt.h"
#include "scheduler/sentence.h"

namespace paddock::scheduler {
namespace {

constexpr int kVictimsLookedAtMax = 2'000;

// Where it did not help it is not tried again at every decision.
constexpr Millis kTryAgainAfter = std::chrono::seconds(10);

bool is_live(const Cluster& cluster, Fence fence) {
  const FoundConst found = find_attempt(cluster, fence);
  return found.attempt != nullptr && found.attempt->is_live();
}

// Lower priority first, then the newest: it has least to lose.
std::vector<Fence> candidates(const Cluster& cluster, std::int64_t priority) {
  std::vector<Fence> fences;
  auto from = cluster.index.preemptible.begin();
  while (from != cluster.index.preemptible.end() && from->first < priority) {
    const auto same_priority_end = cluster.index.preemptible.lower_bound({from->first + 1, Fence()});
    for (auto each = same_priority_end; each != from && fences.size() < kVictimsLookedAtMax;)
      fences.push_back((--each)->second);
    from = same_priority_end;
  }
  return fences;
}

bool all_fit(const Release& release, const Nodes& nodes) {
  return std::ranges::all_of(nodes, [&](const NodeId& node) { return release.fits(node); });
}

}  // namespace

void preempt_for(Step& step, Hold& hold, std::int64_t priority, const Wanted& wanted, const Nodes& closed) {
  const Cluster& cluster = step.cluster;
  const bool is_clearing =
      std::ranges::any_of(hold.victims, [&](const Fence fence) { return is_live(cluster, fence); });
  const bool was_tried_just_now = hold.looked_at > Instant() && step.at.now - hold.looked_at < kTryAgainAfter;
  if (is_clearing || was_tried_just_now) return;
  hold.looked_at = step.at.now;
  const std::size_t needed = wanted.request.fewest_nodes();
  Release release(cluster, wanted, closed);
  std::vector<Fence> released;
  for (const Fence fence : candidates(cluster, priority)) {
    if (release.fitting().size() >= needed) break;
    release.release(fence);
    released.push_back(fence);
  }
  if (release.fitting().size() < needed) return;
  Nodes nodes;
  for (const NodeId& node : release.fitting()) {
    if (nodes.size() < needed) nodes.insert(node);
  }
  // Whoever need not go stays, those with most to lose first.
  std::set<Fence> victims;
  for (auto fence = released.rbegin(); fence != released.rend(); ++fence) {
    release.restore(*fence);
    if (all_fit(release, nodes)) continue;
    release.release(*fence);
    victims.insert(*fence);
  }
  hold = Hold{hold.job, std::move(nodes), kNever, victims, step.at.now};
  for (const Fence fence : victims) {
    preempt_attempt(step, fence, "makes room for " + shown(hold.job) + ", whose priority is higher");
  }
}

}  // namespace paddock::scheduler
