#include "scheduler/preemption.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>
#include <vector>

#include "scheduler/least.h"

namespace paddock::scheduler {
namespace {

// Where it did not help it is not tried again at every decision.
constexpr Millis kTryAgainAfter = std::chrono::seconds(10);

// One node, and who has to go from it at most.
struct Site {
  Loss worst = kNoLoss;
  std::size_t number = 0;
  auto operator<=>(const Site&) const = default;
};

// The parts that would go from the place for one of `priority`, in that order, until there is room. False: there is none.
bool find_leaving(const Cluster& cluster, std::size_t number, const Request& request, std::int64_t priority,
                  std::vector<const Part*>& parts) {
  parts.clear();
  const Places& places = cluster.index.places;
  const PlaceDetails& details = places.details(number);
  Room room = wanted_part(request, details, places[number].free);
  if (room.holds(request)) return true;
  for (const Part& part : details.parts) {
    if (part.priority < priority) parts.push_back(&part);
  }
  std::ranges::sort(parts, {}, [](const Part* part) { return loss_of(*part); });
  for (std::size_t i = 0; i < parts.size(); ++i) {
    add_part(request, details, *parts[i], room, cluster.rules);
    if (!room.holds(request)) continue;
    parts.resize(i + 1);
    return true;
  }
  return false;
}

// Whoever need not go stays, those with most to lose first.
std::set<Fence> needed_victims(const Cluster& cluster, const std::vector<Site>& sites, const Request& request,
                               std::int64_t priority) {
  const Places& places = cluster.index.places;
  std::map<Loss, std::vector<std::pair<std::size_t, const Part*>>> victims;
  std::map<std::size_t, std::set<const Part*>> going;
  std::vector<const Part*> parts;
  for (const Site& site : sites) {
    find_leaving(cluster, site.number, request, priority, parts);
    for (const Part* part : parts) {
      victims[loss_of(*part)].emplace_back(site.number, part);
      going[site.number].insert(part);
    }
  }
  const auto has_room_without = [&](std::size_t number, const Part* stays) {
    const PlaceDetails& details = places.details(number);
    Room room = wanted_part(request, details, places[number].free);
    for (const Part* part : going[number]) {
      if (part != stays) add_part(request, details, *part, room, cluster.rules);
    }
    return room.holds(request);
  };
  std::set<Fence> fences;
  for (auto victim = victims.rbegin(); victim != victims.rend(); ++victim) {
    const auto& its = victim->second;
    const bool may_stay =
        std::ranges::all_of(its, [&](const auto& at) { return has_room_without(at.first, at.second); });
    if (!may_stay) fences.insert(its.front().second->fence);
    for (const auto& [number, part] : its) {
      if (may_stay) going[number].erase(part);
    }
  }
  return fences;
}

bool is_live(const Cluster& cluster, Fence fence) {
  const FoundConst found = find_attempt(cluster, fence);
  return found.attempt != nullptr && found.attempt->is_live();
}

}  // namespace

bool is_clearing(const Cluster& cluster, const Hold& hold, Instant now) {
  return (hold.looked_at > Instant() && now - hold.looked_at < kTryAgainAfter) ||
         std::ranges::any_of(hold.victims, [&](const Fence fence) { return is_live(cluster, fence); });
}

std::optional<Clearing> find_clearing(const Cluster& cluster, std::int64_t priority, const Wanted& wanted,
                                      const Closed& closed) {
  const auto& preemptible = cluster.index.preemptible;
  if (preemptible.empty() || preemptible.begin()->first >= priority) return std::nullopt;
  const Places& places = cluster.index.places;
  Least<Site> sites(std::max(1u, wanted.request.fewest_nodes()));
  std::vector<const Part*> parts;
  for (std::size_t number = 0; number < places.size(); ++number) {
    // Most places need no closer look: nobody there may be asked to go, or those who would go from elsewhere lose less.
    const bool may_have_room = places[number].free.holds(wanted.request);
    const Loss least = may_have_room ? kNoLoss : places.outlook(number).least_loss;
    if (!places[number].takes_work || least.first >= priority || !sites.would_take({least, number}) ||
        !is_open(cluster, number, wanted, closed))
      continue;
    if (find_leaving(cluster, number, wanted.request, priority, parts))
      sites.add({parts.empty() ? kNoLoss : loss_of(*parts.back()), number});
  }
  if (!sites.is_full()) return std::nullopt;
  Clearing clearing;
  for (const Site& site : sites.all()) clearing.nodes.insert(places.details(site.number).name);
  clearing.victims = needed_victims(cluster, sites.all(), wanted.request, priority);
  return clearing;
}

}  // namespace paddock::scheduler
