#include "scheduler/reconcile.h"

#include "base/planted_bug.h"

namespace paddock::scheduler {
namespace {

// Ranks of `attempt` that should be on the node but are not held there.
void reconcile_missing(const Node& node, const FoundConst& found, const Held& held, Instant now, Millis lease,
                       Reconciliation& result) {
  const Attempt& attempt = *found.attempt;
  bool is_missing = false;
  for (std::uint32_t i = 0; i < attempt.ranks.size(); ++i) {
    const Rank& rank = attempt.ranks[i];
    // A rank that was reported as started and is not held has ended; its worker keeps that report until we
    // have it.
    if (rank.node != node.name || rank.state != RankState::kAssigned ||
        held.contains({attempt.fence, RankId{i}}))
      continue;
    is_missing = true;
    const bool is_given_up = is_planted(PlantedBug::kGiveUpEarly);
    if (attempt.ending && (now - attempt.ending->since >= lease || is_given_up)) {
      result.events.emplace_back(RankEnded{attempt.fence, RankId{i}, -1, 0, "never started", false, false});
    }
  }
  if (!is_missing) return;
  if (attempt.ending) {
    // Also closes the attempt at the worker, should its start still be on the way.
    result.effects.emplace_back(
        EndAttempt{node.name, attempt.fence, found.job->request.grace, attempt.ending->reason});
  } else if (!is_planted(PlantedBug::kSendOnce)) {
    result.effects.emplace_back(StartRanks{node.name, attempt.fence});
  }
}

}  // namespace

Reconciliation reconcile(const Cluster& cluster, const NodeId& name, const Held& held, Instant now,
                         Millis lease) {
  Reconciliation result;
  const auto known = cluster.nodes.find(name);
  if (known == cluster.nodes.end() || !known->second.is_ready) return result;
  const Node& node = known->second;
  for (const Fence fence : node.attempts) {
    reconcile_missing(node, find_attempt(cluster, fence), held, now, lease, result);
  }
  std::set<Fence> told;
  for (const auto& [fence, rank] : held) {
    if (told.contains(fence)) continue;
    const FoundConst found = find_attempt(cluster, fence);
    if (!node.attempts.contains(fence)) {
      told.insert(fence);
      result.effects.emplace_back(EndAttempt{name, fence, Millis(0), "the attempt is over"});
    } else if (found.attempt->ending) {
      told.insert(fence);
      result.effects.emplace_back(
          EndAttempt{name, fence, found.job->request.grace, found.attempt->ending->reason});
    }
  }
  return result;
}

}  // namespace paddock::scheduler
