#include "scheduler/placement.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace paddock::scheduler {
namespace {

bool has_neighbour(const Cluster& cluster, const Node& node, const Wanted& wanted) {
  return std::ranges::any_of(node.attempts, [&](const Fence fence) {
    const FoundConst found = find_attempt(cluster, fence);
    return found.job != nullptr && found.key.graph == wanted.graph &&
           found.job->request.resources->apart == wanted.request.apart;
  });
}

bool keeps_apart(const Wanted& wanted) {
  return !wanted.request.apart.empty() && wanted.graph != GraphId();
}

bool looks_at_racks(const Cluster& cluster, const Wanted& wanted) {
  return wanted.nodes > 1 && cluster.index.racked > 0;
}

bool fits(const Cluster& cluster, std::size_t number, const Wanted& wanted, const Closed& closed) {
  const Places& places = cluster.index.places;
  return places[number].free.holds(wanted.request) && is_open(cluster, number, wanted, closed) &&
         wanted_part(wanted.request, places.details(number), places[number].free).holds(wanted.request);
}

// Calls `look` with each place that may have room; it answers whether to go on.
template <typename Look>
void look_through(const Places& places, const Request& request, const Look& look) {
  for (std::size_t first = 0; first < places.size(); first += Places::kPerBlock) {
    if (!places.block_may_hold(first / Places::kPerBlock, request)) continue;
    const std::size_t end = std::min(places.size(), first + Places::kPerBlock);
    for (std::size_t number = first; number < end; ++number) look(number);
  }
}

// Tightest first: fewest GPUs free, then fewest cores, then by name.
auto tightness(const Places& places, std::size_t number) {
  const Room& free = places[number].free;
  return std::tuple(free.gpus, free.cpus, number);
}

std::optional<std::size_t> tightest(const Cluster& cluster, const Wanted& wanted, const Closed& closed) {
  const Places& places = cluster.index.places;
  std::optional<std::size_t> best;
  look_through(places, wanted.request, [&](std::size_t number) {
    if ((!best || tightness(places, number) < tightness(places, *best)) &&
        fits(cluster, number, wanted, closed))
      best = number;
  });
  return best;
}

void keep_tightest(const Places& places, std::vector<std::size_t>& numbers, std::size_t most) {
  if (numbers.size() <= most) return;
  std::ranges::nth_element(numbers, numbers.begin() + static_cast<std::ptrdiff_t>(most), {},
                           [&](std::size_t number) { return tightness(places, number); });
  numbers.resize(most);
}

// From as few racks as possible: the tightest rack that has enough; else the fullest ones first.
std::vector<std::size_t> from_few_racks(const Places& places, const std::vector<std::size_t>& fitting,
                                        std::size_t wanted) {
  std::vector<std::vector<std::size_t>> racks(places.racks().size());
  for (const std::size_t number : fitting) racks[places[number].rack].push_back(number);
  std::vector<std::vector<std::size_t>*> order;
  for (auto& rack : racks) {
    if (!rack.empty()) order.push_back(&rack);
  }
  std::ranges::stable_sort(order, {}, [&](const auto* rack) {
    const auto size = static_cast<std::int64_t>(rack->size());
    return rack->size() >= wanted ? std::pair(0, size) : std::pair(1, -size);
  });
  std::vector<std::size_t> chosen;
  for (auto* rack : order) {
    if (chosen.size() == wanted) break;
    keep_tightest(places, *rack, wanted - chosen.size());
    chosen.insert(chosen.end(), rack->begin(), rack->end());
  }
  return chosen;
}

}  // namespace

bool may_take(const Cluster& cluster, const Node& node, const Wanted& wanted) {
  return node.takes_work() && has_labels(wanted.request, node.offer) &&
         !(keeps_apart(wanted) && has_neighbour(cluster, node, wanted));
}

bool is_open(const Cluster& cluster, std::size_t number, const Wanted& wanted, const Closed& closed) {
  const Place& place = cluster.index.places[number];
  if (!place.takes_work || (place.kept_for >= 0 && closed.holds[static_cast<std::size_t>(place.kept_for)]))
    return false;
  const PlaceDetails& details = cluster.index.places.details(number);
  if (closed.others != nullptr && closed.others->contains(details.name)) return false;
  return has_labels(wanted.request, details.labels) &&
         !(keeps_apart(wanted) && has_neighbour(cluster, cluster.nodes.at(details.name), wanted));
}

std::vector<std::size_t> all_fitting(const Cluster& cluster, const Wanted& wanted, const Closed& closed) {
  std::vector<std::size_t> fitting;
  look_through(cluster.index.places, wanted.request, [&](std::size_t number) {
    if (fits(cluster, number, wanted, closed)) fitting.push_back(number);
  });
  return fitting;
}

std::optional<std::vector<NodeId>> find_nodes(const Cluster& cluster, const Wanted& wanted,
                                              const Closed& closed, std::uint32_t* would_do) {
  const Places& places = cluster.index.places;
  const Request& request = wanted.request;
  if (wanted.nodes == 1 && request.fewest_nodes() <= 1) {
    const auto best = tightest(cluster, wanted, closed);
    if (!best && would_do != nullptr) *would_do = 0;
    if (!best) return std::nullopt;
    return std::vector{places.details(*best).name};
  }
  std::vector<std::size_t> fitting = all_fitting(cluster, wanted, closed);
  if (fitting.size() < std::max(1u, request.fewest_nodes())) {
    if (would_do != nullptr) *would_do = static_cast<std::uint32_t>(fitting.size());
    return std::nullopt;
  }
  if (looks_at_racks(cluster, wanted)) fitting = from_few_racks(places, fitting, wanted.nodes);
  keep_tightest(places, fitting, wanted.nodes);
  // Neighbours by rack have neighbouring ranks.
  std::ranges::sort(fitting, {}, [&](std::size_t number) { return std::pair(places[number].rack, number); });
  std::vector<NodeId> names;
  for (const std::size_t number : fitting) names.push_back(places.details(number).name);
  return names;
}

std::optional<std::vector<NodeId>> find_nodes(const Cluster& cluster, const Wanted& wanted,
                                              const Nodes& closed) {
  return find_nodes(cluster, wanted, Closed{{}, closed.empty() ? nullptr : &closed});
}

std::optional<JobKey> same_work(const Cluster& cluster, const JobKey& key, const Job& job) {
  if (job.launch.stage_key.empty()) return std::nullopt;
  const auto owner = cluster.stage_owners.find(job.launch.stage_key);
  if (owner == cluster.stage_owners.end() || owner->second == key) return std::nullopt;
  return owner->second;
}

}  // namespace paddock::scheduler
