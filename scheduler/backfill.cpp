#include "scheduler/backfill.h"

#include <algorithm>

namespace paddock::scheduler {
namespace {

// Running attempts looked at to find out when a gang will fit; beyond that the future is not known well anyway.
constexpr int kAttemptsLookedAtMax = 2'000;

// Goes through the running attempts in the order in which their time limits end them, until enough nodes fit.
std::optional<Hold> earliest(const Cluster& cluster, const JobKey& key, const Wanted& wanted,
                             const Nodes& closed) {
  const std::size_t needed = wanted.request.fewest_nodes();
  Release release(cluster, wanted, closed);
  int looked_at = 0;
  for (const auto& [ends_at, fence] : cluster.time_limits) {
    if (++looked_at > kAttemptsLookedAtMax) return std::nullopt;
    const FoundConst found = find_attempt(cluster, fence);
    release.release(fence);
    if (release.fitting().size() < needed) continue;
    Hold hold{key, {}, ends_at + found.job->request.grace, {}};
    for (const NodeId& node : release.fitting()) {
      if (hold.nodes.size() < needed) hold.nodes.insert(node);
    }
    return hold;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Hold> kept_hold(const Cluster& cluster, const JobKey& key, const Wanted& wanted,
                              const Nodes& closed, Instant now) {
  const Hold* before = find_hold(cluster, key);
  if (before == nullptr || before->from < now || before->nodes.size() != wanted.request.fewest_nodes())
    return std::nullopt;
  for (const NodeId& name : before->nodes) {
    const auto node = cluster.nodes.find(name);
    if (node == cluster.nodes.end() || closed.contains(name) || !node->second.takes_work() ||
        !has_labels(wanted.request, node->second.offer) ||
        !room_when_empty(wanted.request, node->second.offer).holds(wanted.request))
      return std::nullopt;
  }
  return *before;
}

std::optional<Hold> new_hold(const Cluster& cluster, const JobKey& key, const Wanted& wanted,
                             const Nodes& closed) {
  if (auto hold = earliest(cluster, key, wanted, closed)) return hold;
  auto nodes = find_nodes_when_empty(cluster, wanted, closed);
  if (!nodes) return std::nullopt;
  return Hold{key, *std::move(nodes), kNever, {}};
}

Nodes closed_to(const std::vector<Hold>& holds, Millis time_limit, Millis grace, Instant now) {
  Nodes closed;
  for (const Hold& hold : holds) {
    const bool ends_before =
        time_limit > Millis(0) && hold.from != kNever && now + time_limit + grace <= hold.from;
    if (!ends_before) closed.insert(hold.nodes.begin(), hold.nodes.end());
  }
  return closed;
}

const Hold* find_hold(const Cluster& cluster, const JobKey& key) {
  const auto found = std::ranges::find(cluster.holds, key, &Hold::job);
  return found == cluster.holds.end() ? nullptr : &*found;
}

}  // namespace paddock::scheduler
