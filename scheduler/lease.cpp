#include "scheduler/lease.h"

#include <algorithm>

namespace paddock::scheduler {

std::vector<What> due(const Cluster& cluster, Instant now) {
  std::vector<What> events;
  for (const auto& [until, name] : cluster.index.leases) {
    if (until > now) break;
    events.emplace_back(NodeLost{name, cluster.nodes.at(name).incarnation});
  }
  for (const auto& [retry_at, job] : cluster.backoffs) {
    if (retry_at > now) break;
    events.emplace_back(BackoffEnded{job});
  }
  for (const auto& [ends_at, node] : cluster.cordons) {
    if (ends_at > now) break;
    events.emplace_back(CordonEnded{node});
  }
  for (const auto& [ends_at, fence] : cluster.time_limits) {
    if (ends_at > now) break;
    events.emplace_back(TimeLimitReached{fence});
  }
  if (cluster.rest && cluster.rest->due_at <= now) events.emplace_back(RestDue{});
  return events;
}

std::optional<Instant> next_deadline(const Cluster& cluster) {
  std::optional<Instant> next;
  const auto consider = [&](Instant at) { next = next ? std::min(*next, at) : at; };
  if (!cluster.index.leases.empty()) consider(cluster.index.leases.begin()->first);
  if (!cluster.backoffs.empty()) consider(cluster.backoffs.begin()->first);
  if (!cluster.cordons.empty()) consider(cluster.cordons.begin()->first);
  if (!cluster.time_limits.empty()) consider(cluster.time_limits.begin()->first);
  if (cluster.rest) consider(cluster.rest->due_at);
  return next;
}

}  // namespace paddock::scheduler
