#include "scheduler/elastic.h"

#include <algorithm>
#include <string>

#include "scheduler/attempt.h"
#include "scheduler/placement.h"
#include "scheduler/quota.h"
#include "scheduler/reservation.h"
#include "scheduler/sentence.h"

namespace paddock::scheduler {

std::uint32_t nodes_of(const Attempt& attempt, const Request& request) {
  return static_cast<std::uint32_t>(attempt.ranks.size()) / request.ranks_per_node;
}

void grow_at_checkpoint(Step& step, const Found& found) {
  const Cluster& cluster = step.cluster;
  const Request& request = found.job->request.resources;
  const std::uint32_t has = nodes_of(*found.attempt, request);
  if (request.nodes_min == 0 || has >= request.nodes || found.attempt->ending ||
      step.at.now - found.attempt->started_at < kGrowsAfter)
    return;
  // What is free is free for it only if nobody else is waiting for it.
  if (!cluster.holds.empty()) return;
  const Graph& graph = *find_graph(cluster, found.key.graph);
  const std::uint32_t allowed = nodes_within_quota(cluster, graph.tenant, request);  // besides those it has
  const std::uint32_t more = std::min(allowed, request.nodes - has);
  if (more == 0) return;
  Request part = request;
  part.nodes_min = 1;
  Nodes own = reserved_for_others(cluster, graph.tenant, found.job->request, step.at.wall);
  for (const Rank& rank : found.attempt->ranks) own.insert(rank.node);
  const auto nodes = find_nodes(cluster, Wanted{part, more, found.key.graph}, own);
  if (!nodes) return;
  preempt_attempt(step, found.attempt->fence,
                  "grows from " + count(has, "node") + " to " + std::to_string(has + nodes->size()));
}

}  // namespace paddock::scheduler
