#include "scheduler/placement.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace paddock::scheduler {
namespace {

const std::string& rack_of(const Node& node) {
  static const std::string kNone;
  const auto found = node.offer.labels.find("rack");
  return found == node.offer.labels.end() ? kNone : found->second;
}

bool has_neighbour(const Cluster& cluster, const Node& node, const Wanted& wanted) {
  return std::ranges::any_of(node.attempts, [&](const Fence fence) {
    const FoundConst found = find_attempt(cluster, fence);
    return found.job != nullptr && found.key.graph == wanted.graph &&
           found.job->request.resources->apart == wanted.request.apart;
  });
}

bool looks_at_racks(const Cluster& cluster, const Wanted& wanted) {
  return wanted.nodes > 1 && cluster.index.racked > 0;
}

// The nodes that fit, tightest first: as many as are wanted, or all where there is a choice to make between racks.
std::vector<const Node*> collect(const Cluster& cluster, const Wanted& wanted, const Nodes& closed) {
  const Request& request = wanted.request;
  std::vector<const Node*> fitting;
  const auto has_enough = [&] { return !looks_at_racks(cluster, wanted) && fitting.size() >= wanted.nodes; };
  const auto& free = cluster.index.free;
  for (auto bucket = free.lower_bound({request.gpus_per_node(), 0}); bucket != free.end() && !has_enough();
       ++bucket) {
    if (bucket->first.cpus < request.cpus_per_node()) continue;
    for (const NodeId& name : bucket->second) {
      const Node& node = cluster.nodes.at(name);
      if (closed.contains(name) || !room_now(request, node.offer, node.free).holds(request) ||
          !may_take(cluster, node, wanted))
        continue;
      fitting.push_back(&node);
      if (has_enough()) break;
    }
  }
  return fitting;
}

// From as few racks as possible: the tightest rack that has enough; else the fullest ones first.
std::vector<const Node*> from_few_racks(const std::vector<const Node*>& fitting, std::size_t wanted) {
  std::map<std::string, std::vector<const Node*>> racks;
  for (const Node* node : fitting) racks[rack_of(*node)].push_back(node);
  std::vector<const std::vector<const Node*>*> order;
  for (const auto& [rack, nodes] : racks) order.push_back(&nodes);
  std::ranges::stable_sort(order, {}, [&](const auto* nodes) {
    const auto size = static_cast<std::int64_t>(nodes->size());
    return nodes->size() >= wanted ? std::pair(0, size) : std::pair(1, -size);
  });
  std::vector<const Node*> chosen;
  for (const auto* nodes : order) {
    for (const Node* node : *nodes) {
      if (chosen.size() < wanted) chosen.push_back(node);
    }
  }
  return chosen;
}

}  // namespace

bool may_take(const Cluster& cluster, const Node& node, const Wanted& wanted) {
  return node.takes_work() && has_labels(wanted.request, node.offer) &&
         (wanted.request.apart.empty() || wanted.graph == GraphId() || !has_neighbour(cluster, node, wanted));
}

Nodes all_fitting(const Cluster& cluster, const Wanted& wanted, const Nodes& closed) {
  Wanted all = wanted;
  all.nodes = std::numeric_limits<std::uint32_t>::max();
  const auto fitting = collect(cluster, all, closed);
  Nodes names;
  for (const Node* node : fitting) names.insert(node->name);
  return names;
}

std::optional<std::vector<NodeId>> find_nodes(const Cluster& cluster, const Wanted& wanted,
                                              const Nodes& closed) {
  const Request& request = wanted.request;
  std::vector<const Node*> fitting = collect(cluster, wanted, closed);
  if (fitting.size() < std::max(1u, request.fewest_nodes())) return std::nullopt;
  if (looks_at_racks(cluster, wanted)) fitting = from_few_racks(fitting, wanted.nodes);
  if (fitting.size() > wanted.nodes) fitting.resize(wanted.nodes);
  // Neighbours by rack have neighbouring ranks.
  std::ranges::sort(fitting, {}, [](const Node* node) { return std::tie(rack_of(*node), node->name); });
  std::vector<NodeId> names;
  for (const Node* node : fitting) names.push_back(node->name);
  return names;
}

std::optional<Nodes> find_nodes_when_empty(const Cluster& cluster, const Wanted& wanted,
                                           const Nodes& closed) {
  const Request& request = wanted.request;
  using Lack = std::tuple<bool, std::int64_t, std::int64_t, const Node*>;
  std::vector<Lack> fitting;
  for (const auto& [name, node] : cluster.nodes) {
    if (!node.takes_work() || closed.contains(name) || !room_when_empty(request, node.offer).holds(request) ||
        !has_labels(request, node.offer))
      continue;
    // Those that fit already first, then those that lack least.
    const Room room = room_now(request, node.offer, node.free);
    fitting.emplace_back(!room.holds(request), -static_cast<std::int64_t>(room.gpus),
                         -static_cast<std::int64_t>(room.cpus), &node);
  }
  const std::size_t wanted_nodes = request.fewest_nodes();
  if (fitting.size() < wanted_nodes) return std::nullopt;
  const auto sooner = [](const Lack& a, const Lack& b) {
    const auto key = [](const Lack& lack) {
      return std::tie(std::get<0>(lack), std::get<1>(lack), std::get<2>(lack), std::get<3>(lack)->name);
    };
    return key(a) < key(b);
  };
  std::partial_sort(fitting.begin(), fitting.begin() + static_cast<std::ptrdiff_t>(wanted_nodes),
                    fitting.end(), sooner);
  Nodes chosen;
  for (std::size_t i = 0; i < wanted_nodes; ++i) chosen.insert(std::get<3>(fitting[i])->name);
  return chosen;
}

std::optional<JobKey> same_work(const Cluster& cluster, const JobKey& key, const Job& job) {
  if (job.launch.stage_key.empty()) return std::nullopt;
  const auto owner = cluster.stage_owners.find(job.launch.stage_key);
  if (owner == cluster.stage_owners.end() || owner->second == key) return std::nullopt;
  return owner->second;
}

Release::Release(const Cluster& cluster, const Wanted& wanted, const Nodes& closed)
    : cluster_(cluster), wanted_(wanted), closed_(closed), fitting_(all_fitting(cluster, wanted, closed)) {}

Room Release::room_of(const Node& node) const {
  Room room = room_now(wanted_.request, node.offer, node.free);
  if (const auto more = more_.find(node.name); more != more_.end()) {
    room.cpus += more->second.cpus;
    room.memory_bytes += more->second.memory_bytes;
    room.gpus += more->second.gpus;
    room.ports += more->second.ports;
  }
  return room;
}

bool Release::fits(const NodeId& name) const {
  const auto found = cluster_.nodes.find(name);
  return found != cluster_.nodes.end() && !closed_.contains(name) &&
         may_take(cluster_, found->second, wanted_) && room_of(found->second).holds(wanted_.request);
}

void Release::change(Fence fence, bool is_release) {
  const FoundConst found = find_attempt(cluster_, fence);
  if (found.attempt == nullptr || !found.attempt->is_live()) return;
  const Request& held = found.job->request.resources;
  Nodes touched;
  for (const Rank& rank : found.attempt->ranks) {
    if (rank.state == RankState::kEnded) continue;
    const Node& node = cluster_.nodes.at(rank.node);
    Room& more = more_[rank.node];
    const auto shift = [&](std::uint64_t& value, std::uint64_t by) {
      value = is_release ? value + by : value - by;
    };
    shift(more.cpus, held.cpus_per_rank);
    shift(more.memory_bytes, held.memory_bytes_per_rank);
    for (const Gpu& gpu : node.offer.gpus) {
      if (std::ranges::find(rank.gpus, gpu.uuid) != rank.gpus.end() && is_wanted(wanted_.request, gpu))
        shift(more.gpus, 1);
    }
    if (touched.insert(rank.node).second && &rank == &found.attempt->ranks.front()) shift(more.ports, 1);
  }
  for (const NodeId& name : touched) {
    if (fits(name)) {
      fitting_.insert(name);
    } else {
      fitting_.erase(name);
    }
  }
}

void Release::release(Fence fence) {
  change(fence, true);
}

void Release::restore(Fence fence) {
  change(fence, false);
}

}  // namespace paddock::scheduler
