#include "scheduler/placement.h"

#include <algorithm>
#include <tuple>

#include "scheduler/attempt.h"

namespace paddock::scheduler {

std::optional<Nodes> find_nodes(const Cluster& cluster, const Request& request, const Nodes& reserved) {
  std::vector<const Node*> fitting;
  for (const auto& [name, node] : cluster.nodes) {
    if (node.is_ready && !reserved.contains(name) && fits(request, node.free)) fitting.push_back(&node);
  }
  if (fitting.size() < request.nodes) return std::nullopt;
  // Tightest first: what stays free stays together, and work without GPUs keeps off the nodes that have some.
  std::ranges::sort(fitting, {}, [](const Node* node) {
    return std::make_tuple(node->free.gpus.size(), node->free.cpus, node->name);
  });
  Nodes chosen;
  for (std::uint32_t i = 0; i < request.nodes; ++i) chosen.insert(fitting[i]->name);
  return chosen;
}

std::optional<Nodes> find_nodes_when_empty(const Cluster& cluster, const Request& request,
                                           const Nodes& reserved) {
  std::vector<const Node*> fitting;
  for (const auto& [name, node] : cluster.nodes) {
    if (node.is_ready && !reserved.contains(name) && fits(request, all_of(node.offer)))
      fitting.push_back(&node);
  }
  if (fitting.size() < request.nodes) return std::nullopt;
  // Those that fit already first, then those that lack least.
  std::ranges::sort(fitting, {}, [&](const Node* node) {
    return std::make_tuple(!fits(request, node->free), -static_cast<std::int64_t>(node->free.gpus.size()),
                           -static_cast<std::int64_t>(node->free.cpus), node->name);
  });
  Nodes chosen;
  for (std::uint32_t i = 0; i < request.nodes; ++i) chosen.insert(fitting[i]->name);
  return chosen;
}

std::optional<JobKey> same_work(const Cluster& cluster, const JobKey& key, const Job& job) {
  if (job.launch.stage_key.empty()) return std::nullopt;
  const auto owner = cluster.stage_owners.find(job.launch.stage_key);
  if (owner == cluster.stage_owners.end() || owner->second == key) return std::nullopt;
  return owner->second;
}

void place_queued(Step& step) {
  Cluster& cluster = step.cluster;
  cluster.is_placement_due = false;
  std::size_t ready = 0;
  for (const auto& [name, node] : cluster.nodes) ready += node.is_ready ? 1 : 0;
  Nodes reserved;
  for (auto next = cluster.queue.begin(); next != cluster.queue.end() && reserved.size() < ready;) {
    const JobKey key{next->graph, next->job};
    ++next;  // starting the job takes it out of the queue
    const Job& job = *find_job(cluster, key);
    if (same_work(cluster, key, job)) continue;
    if (const auto nodes = find_nodes(cluster, job.request.resources, reserved)) {
      start_attempt(step, key, *nodes);
    } else if (const auto later = find_nodes_when_empty(cluster, job.request.resources, reserved)) {
      reserved.insert(later->begin(), later->end());
    }
  }
}

}  // namespace paddock::scheduler
