#include "scheduler/rules_1.h"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>
#include <vector>

#include "scheduler/attempt.h"
#include "scheduler/placement.h"

namespace paddock::scheduler {
namespace {

bool fitted(const Request& request, const Free& free) {
  return request.cpus_per_node() <= free.cpus && request.memory_bytes_per_node() <= free.memory_bytes &&
         request.gpus_per_node() <= free.gpus.size() && !free.ports.empty();
}

std::optional<Nodes> first_of(const std::vector<const Node*>& nodes, const Request& request) {
  if (nodes.size() < request.nodes) return std::nullopt;
  Nodes chosen;
  for (std::uint32_t i = 0; i < request.nodes; ++i) chosen.insert(nodes[i]->name);
  return chosen;
}

std::optional<Nodes> find_now(const Cluster& cluster, const Request& request, const Nodes& reserved) {
  std::vector<const Node*> fitting;
  for (const auto& [name, node] : cluster.nodes) {
    if (node.is_ready && !reserved.contains(name) && fitted(request, node.free)) fitting.push_back(&node);
  }
  std::ranges::sort(fitting, {}, [](const Node* node) {
    return std::make_tuple(node->free.gpus.size(), node->free.cpus, node->name);
  });
  return first_of(fitting, request);
}

std::optional<Nodes> find_when_empty(const Cluster& cluster, const Request& request, const Nodes& reserved) {
  std::vector<const Node*> fitting;
  for (const auto& [name, node] : cluster.nodes) {
    if (node.is_ready && !reserved.contains(name) && fitted(request, all_of(node.offer)))
      fitting.push_back(&node);
  }
  std::ranges::sort(fitting, {}, [&](const Node* node) {
    return std::make_tuple(!fitted(request, node->free), -static_cast<std::int64_t>(node->free.gpus.size()),
                           -static_cast<std::int64_t>(node->free.cpus), node->name);
  });
  return first_of(fitting, request);
}

}  // namespace

void place_queued_by_rules_1(Step& step) {
  Cluster& cluster = step.cluster;
  std::size_t ready = 0;
  for (const auto& [name, node] : cluster.nodes) ready += node.is_ready ? 1 : 0;
  Nodes reserved;
  for (auto next = cluster.queue.begin(); next != cluster.queue.end() && reserved.size() < ready;) {
    const JobKey key{next->graph, next->job};
    ++next;  // starting the job takes it out of the queue
    const Job& job = *find_job(cluster, key);
    if (same_work(cluster, key, job)) continue;
    if (const auto nodes = find_now(cluster, job.request.resources, reserved)) {
      start_attempt(step, key, {nodes->begin(), nodes->end()});
    } else if (const auto later = find_when_empty(cluster, job.request.resources, reserved)) {
      reserved.insert(later->begin(), later->end());
    }
  }
}

}  // namespace paddock::scheduler
