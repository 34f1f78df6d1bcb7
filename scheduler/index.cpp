#include "scheduler/index.h"

#include <algorithm>

#include "scheduler/cluster.h"
#include "scheduler/priority.h"

namespace paddock::scheduler {
namespace {

void drop_from_group(Index& index, const GroupKey& key, const Queued& queued) {
  const auto found = index.groups.find(key);
  if (found == index.groups.end()) return;
  found->second.erase(queued);
  if (found->second.empty() && !index.keeps_empty_groups) index.groups.erase(found);
}

bool waits_for_same_work(const Cluster& cluster, const Graph& graph, const Job& job) {
  const auto owner = cluster.stage_owners.find(job.launch.stage_key);
  return !job.launch.stage_key.empty() && owner != cluster.stage_owners.end() &&
         owner->second != JobKey{graph.id, job.request.name};
}

Usage offered_by(const Node& node) {
  const auto well = std::ranges::count_if(node.offer.gpus, [](const Gpu& gpu) { return gpu.fault.empty(); });
  return {node.offer.cpus, static_cast<std::uint64_t>(well), node.offer.memory_bytes};
}

void add(Usage& total, const Usage& more) {
  total.cpus += more.cpus;
  total.gpus += more.gpus;
  total.memory_bytes += more.memory_bytes;
}

void subtract(Usage& total, const Usage& less) {
  total.cpus -= less.cpus;
  total.gpus -= less.gpus;
  total.memory_bytes -= less.memory_bytes;
}

}  // namespace

GroupKey group_of(const Graph& graph, const Job& job) {
  const Shared<Request>& request = job.request.resources;
  return {graph.tenant, graph.priority, job.request.time_limit, request->apart.empty() ? GraphId() : graph.id,
          request};
}

Queued queued_of(const Graph& graph, const Job& job) {
  return Queued{-graph.priority, graph.id, job.index, job.request.name};
}

void index_node(Cluster& cluster, const Node& node) {
  Index& index = cluster.index;
  Index::Counted& counted = index.counted[node.name];
  std::optional<FreeKey> key;
  if (node.takes_work()) key = FreeKey{node.free.gpus.size(), node.free.cpus};
  if (counted.key != key) {
    if (counted.key) {
      const auto bucket = index.free.find(*counted.key);
      bucket->second.erase(node.name);
      if (bucket->second.empty()) index.free.erase(bucket);
    }
    if (key) index.free[*key].insert(node.name);
    counted.key = key;
  }
  const bool is_racked = node.takes_work() && node.offer.labels.contains("rack");
  if (is_racked != counted.is_racked) index.racked += is_racked ? 1 : -1;
  counted.is_racked = is_racked;
  subtract(index.total, counted.offered);
  counted.offered = node.is_ready ? offered_by(node) : Usage();
  add(index.total, counted.offered);
}

void index_queued(Cluster& cluster, const Graph& graph, const Job& job) {
  const Queued queued = queued_of(graph, job);
  if (!job.launch.stage_key.empty()) cluster.index.same_stage[job.launch.stage_key].insert(queued);
  if (!waits_for_same_work(cluster, graph, job)) cluster.index.groups[group_of(graph, job)].insert(queued);
}

void forget_queued(Cluster& cluster, const Graph& graph, const Job& job) {
  const Queued queued = queued_of(graph, job);
  drop_from_group(cluster.index, group_of(graph, job), queued);
  const auto stage = cluster.index.same_stage.find(job.launch.stage_key);
  if (stage == cluster.index.same_stage.end()) return;
  stage->second.erase(queued);
  if (stage->second.empty()) cluster.index.same_stage.erase(stage);
}

void park_others(Cluster& cluster, const std::string& stage, const JobKey& owner) {
  const auto found = cluster.index.same_stage.find(stage);
  if (found == cluster.index.same_stage.end()) return;
  for (const Queued& queued : found->second) {
    if (owner == JobKey{queued.graph, queued.job}) continue;
    const Graph& graph = *find_graph(cluster, queued.graph);
    drop_from_group(cluster.index, group_of(graph, graph.jobs.at(queued.job)), queued);
    note_left(cluster, graph.tenant, graph.priority);
  }
}

void unpark(Cluster& cluster, const std::string& stage, Instant now) {
  const auto found = cluster.index.same_stage.find(stage);
  if (found == cluster.index.same_stage.end()) return;
  for (const Queued& queued : found->second) {
    const Graph& graph = *find_graph(cluster, queued.graph);
    cluster.index.groups[group_of(graph, graph.jobs.at(queued.job))].insert(queued);
    note_waiting(cluster, graph.tenant, graph.priority, now);
  }
}

void index_attempt(Cluster& cluster, const Graph& graph, const Job& job, const Attempt& attempt) {
  if (job.request.is_preemptible && !attempt.ending)
    cluster.index.preemptible.insert({graph.priority, attempt.fence});
}

void forget_attempt(Cluster& cluster, const Graph& graph, const Attempt& attempt) {
  cluster.index.preemptible.erase({graph.priority, attempt.fence});
}

Index rebuilt(const Cluster& cluster) {
  Cluster fresh;  // only its index is looked at
  fresh.nodes = cluster.nodes;
  fresh.stage_owners = cluster.stage_owners;
  for (const auto& [name, node] : cluster.nodes) index_node(fresh, node);
  for (const Queued& queued : cluster.queue) {
    const Job* job = find_job(cluster, {queued.graph, queued.job});
    if (job != nullptr) index_queued(fresh, *find_graph(cluster, queued.graph), *job);
  }
  for (const auto& [name, node] : cluster.nodes) {
    for (const Fence fence : node.attempts) {
      const FoundConst found = find_attempt(cluster, fence);
      if (found.attempt != nullptr)
        index_attempt(fresh, *find_graph(cluster, found.key.graph), *found.job, *found.attempt);
    }
  }
  return std::move(fresh.index);
}

}  // namespace paddock::scheduler
