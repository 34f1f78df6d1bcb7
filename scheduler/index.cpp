#include "scheduler/index.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "scheduler/cluster.h"
#include "scheduler/priority.h"

namespace paddock::scheduler {
namespace {

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

// When it will have given back what it holds, at the latest.
Instant end_of(const Job& job, const Attempt& attempt) {
  if (attempt.ending) return attempt.ending->since + job.request.grace;
  if (job.request.time_limit == Millis(0)) return kNever;
  return attempt.started_at + job.request.time_limit + job.request.grace;
}

// What the node gets back of one rank.
void add_rank(Part& part, const Request& request, const Offer& offer, const std::vector<GpuKind>& kinds,
              const Rank& rank) {
  part.room.cpus += request.cpus_per_rank;
  part.room.memory_bytes += request.memory_bytes_per_rank;
  if (kinds.size() > 1) part.gpus_by_kind.resize(kinds.size());
  for (const std::string& uuid : rank.gpus) {
    const auto gpu = std::ranges::find(offer.gpus, uuid, &Gpu::uuid);
    if (gpu != offer.gpus.end() && !gpu->fault.empty()) continue;
    ++part.room.gpus;
    if (kinds.size() < 2 || gpu == offer.gpus.end()) continue;
    const auto kind = std::ranges::find_if(kinds, [&](const GpuKind& each) {
      return each.model == gpu->model && each.memory_bytes == gpu->memory_bytes;
    });
    if (kind != kinds.end()) ++part.gpus_by_kind[static_cast<std::size_t>(kind - kinds.begin())];
  }
}

// What the node gets back of it; nothing if no rank of it is left there.
std::optional<Part> part_on(const Node& node, const std::vector<GpuKind>& kinds, const Graph& graph,
                            const Job& job, const Attempt& attempt) {
  Part part{end_of(job, attempt), attempt.fence, kNotPreemptible, {}};
  if (job.request.is_preemptible && !attempt.ending) part.priority = graph.priority;
  bool is_there = false;
  for (const Rank& rank : attempt.ranks) {
    if (rank.node != node.name || rank.state == RankState::kEnded) continue;
    is_there = true;
    add_rank(part, job.request.resources, node.offer, kinds, rank);
  }
  if (!is_there) return std::nullopt;
  part.room.ports = attempt.ranks.front().node == node.name ? 1 : 0;
  return part;
}

std::vector<Part> parts_on(const Cluster& cluster, const Node& node, const std::vector<GpuKind>& kinds) {
  std::vector<Part> parts;
  for (const Fence fence : node.attempts) {
    const FoundConst found = find_attempt(cluster, fence);
    if (found.attempt == nullptr) continue;
    const Graph& graph = *find_graph(cluster, found.key.graph);
    if (const auto part = part_on(node, kinds, graph, *found.job, *found.attempt)) parts.push_back(*part);
  }
  return parts;
}

}  // namespace

ClassKey class_of(const Graph& graph) {
  return {graph.tenant, graph.priority};
}

Shape shape_of(const Graph& graph, const Job& job) {
  const Request& request = job.request.resources;
  return {job.request.time_limit, job.request.grace, request.apart.empty() ? GraphId() : graph.id, request};
}

Queued queued_of(const Graph& graph, const Job& job) {
  return Queued{-graph.priority, graph.id, job.index, job.request.name};
}

void index_node(Cluster& cluster, const Node& node) {
  Index& index = cluster.index;
  const std::size_t number = index.places.update(node);
  index.places.replace_parts(number, parts_on(cluster, node, index.places.details(number).kinds));
  const PlaceDetails& counted = index.places.details(number);
  const bool is_racked = node.takes_work() && node.offer.labels.contains("rack");
  if (is_racked != counted.is_racked) index.racked += is_racked ? 1 : -1;
  subtract(index.total, counted.offered);
  const Usage offered = node.is_ready ? offered_by(node) : Usage();
  add(index.total, offered);
  index.places.count(number, offered, is_racked);
  if (node.is_ready) {
    index.leases.insert({node.lease_until, node.name});
  } else {
    index.leases.erase({node.lease_until, node.name});
  }
  index.has_new_nodes = true;
}

void set_lease(Cluster& cluster, Node& node, Instant until) {
  cluster.index.leases.erase({node.lease_until, node.name});
  node.lease_until = until;
  if (node.is_ready) cluster.index.leases.insert({until, node.name});
}

void index_taken(Cluster& cluster, const Node& node) {
  cluster.index.places.update_free(node);
}

void index_freed(Cluster& cluster, const Node& node) {
  const std::size_t number = cluster.index.places.update_free(node);
  std::vector<std::size_t>& freed = cluster.index.freed;
  if (freed.empty() || freed.back() != number) freed.push_back(number);
}

void index_queued(Cluster& cluster, const Graph& graph, const Job& job) {
  const Queued queued = queued_of(graph, job);
  if (!job.launch.stage_key.empty()) cluster.index.same_stage[job.launch.stage_key].insert(queued);
  if (!waits_for_same_work(cluster, graph, job))
    cluster.index.groups.insert(class_of(graph), shape_of(graph, job), queued);
}

void forget_queued(Cluster& cluster, const Graph& graph, const Job& job) {
  const Queued queued = queued_of(graph, job);
  cluster.index.groups.erase(class_of(graph), shape_of(graph, job), queued);
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
    cluster.index.groups.erase(class_of(graph), shape_of(graph, graph.jobs.at(queued.job)), queued);
    note_left(cluster, graph.tenant, graph.priority);
  }
}

void unpark(Cluster& cluster, const std::string& stage, Instant now) {
  const auto found = cluster.index.same_stage.find(stage);
  if (found == cluster.index.same_stage.end()) return;
  for (const Queued& queued : found->second) {
    const Graph& graph = *find_graph(cluster, queued.graph);
    cluster.index.groups.insert(class_of(graph), shape_of(graph, graph.jobs.at(queued.job)), queued);
    note_waiting(cluster, graph.tenant, graph.priority, now);
  }
}

void index_attempt(Cluster& cluster, const Graph& graph, const Job& job, const Attempt& attempt) {
  cluster.index.open_ranks[attempt.fence] = static_cast<std::uint32_t>(attempt.ranks.size());
  if (job.request.is_preemptible) cluster.index.preemptible.insert({graph.priority, attempt.fence});
  const std::size_t a_node = job.request.resources->ranks_per_node;
  for (std::size_t i = 0; i < attempt.ranks.size(); i += a_node) {
    const Node& node = cluster.nodes.at(attempt.ranks[i].node);
    Places& places = cluster.index.places;
    const std::size_t number = *places.find(node.name);
    Part part{end_of(job, attempt),
              attempt.fence,
              job.request.is_preemptible ? graph.priority : kNotPreemptible,
              {0, 0, 0, i == 0 ? std::uint64_t{1} : 0}};
    for (std::size_t rank = i; rank < i + a_node; ++rank)
      add_rank(part, job.request.resources, node.offer, places.details(number).kinds, attempt.ranks[rank]);
    places.put_part(number, part);
  }
}

void note_rank_ended(Cluster& cluster, const Attempt& attempt) {
  const auto open = cluster.index.open_ranks.find(attempt.fence);
  if (open != cluster.index.open_ranks.end() && --open->second == 0) cluster.index.open_ranks.erase(open);
}

void index_ending(Cluster& cluster, const Graph& graph, const Job& job, const Attempt& attempt) {
  forget_attempt(cluster, graph, attempt);
  const NodeId* last = nullptr;
  for (const Rank& rank : attempt.ranks) {
    if (last != nullptr && *last == rank.node) continue;
    last = &rank.node;
    cluster.index.places.redate_part(*cluster.index.places.find(rank.node), attempt.fence,
                                     end_of(job, attempt));
  }
}

void forget_attempt(Cluster& cluster, const Graph& graph, const Attempt& attempt) {
  cluster.index.preemptible.erase({graph.priority, attempt.fence});
}

void forget_rank(Cluster& cluster, const Job& job, const Attempt& attempt, const Rank& rank, bool is_last) {
  Places& places = cluster.index.places;
  const std::size_t number = *places.find(rank.node);
  if (is_last) return places.drop_part(number, attempt.fence);
  const Node& node = cluster.nodes.at(rank.node);
  Part gone;
  gone.fence = attempt.fence;
  add_rank(gone, job.request.resources, node.offer, places.details(number).kinds, rank);
  places.shrink_part(number, gone);
}

void index_holds(Cluster& cluster) {
  Places& places = cluster.index.places;
  places.keep_none();
  for (std::size_t hold = 0; hold < cluster.holds.size(); ++hold) {
    for (const NodeId& node : cluster.holds[hold].nodes) {
      if (const auto number = places.find(node)) places.keep(*number, static_cast<std::int32_t>(hold));
    }
  }
}

Index rebuilt(const Cluster& cluster) {
  Cluster fresh;  // only its index is looked at
  fresh.stage_owners = cluster.stage_owners;
  fresh.holds = cluster.holds;
  for (const auto& [name, node] : cluster.nodes) {
    index_node(fresh, node);
    // By its own name: a damaged snapshot may have it under another.
    if (const auto number = fresh.index.places.find(node.name))
      fresh.index.places.replace_parts(*number,
                                       parts_on(cluster, node, fresh.index.places.details(*number).kinds));
  }
  for (const Queued& queued : cluster.queue) {
    const Job* job = find_job(cluster, {queued.graph, queued.job});
    if (job != nullptr) index_queued(fresh, *find_graph(cluster, queued.graph), *job);
  }
  for (const auto& [name, node] : cluster.nodes) {
    for (const Fence fence : node.attempts) {
      const FoundConst found = find_attempt(cluster, fence);
      if (found.attempt == nullptr) continue;
      const auto open = std::ranges::count_if(
          found.attempt->ranks, [](const Rank& rank) { return rank.state != RankState::kEnded; });
      if (open > 0) fresh.index.open_ranks[fence] = static_cast<std::uint32_t>(open);
      if (!found.job->request.is_preemptible || found.attempt->ending) continue;
      fresh.index.preemptible.insert({find_graph(cluster, found.key.graph)->priority, fence});
    }
  }
  index_holds(fresh);
  return std::move(fresh.index);
}

}  // namespace paddock::scheduler
