#include "scheduler/backfill.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

namespace paddock::scheduler {
namespace {

constexpr Instant kNow{std::numeric_limits<std::int64_t>::min()};

// When the place will have room for a part of the gang, as far as time limits tell.
Instant has_room_at(const Places& places, std::size_t number, const Request& request) {
  const PlaceDetails& details = places.details(number);
  Room room = wanted_part(request, details, places[number].free);
  if (room.holds(request)) return kNow;
  for (const Part& part : details.parts) {
    add_part(request, details, part, room);
    if (room.holds(request)) return part.ends_at;
  }
  return details.parts.empty() ? kNever : details.parts.back().ends_at;  // it does when all have gone
}

struct Choice {
  Nodes nodes;
  Instant last;  // when the last of them has room
};

std::optional<Choice> soonest(const Cluster& cluster, const Wanted& wanted, const Closed& closed) {
  const Places& places = cluster.index.places;
  const Request& request = wanted.request;
  // Of those that have room at the same time, or nobody knows when, those that lack least.
  using Turn = std::tuple<Instant, std::int64_t, std::int64_t, std::size_t>;
  std::vector<Turn> turns;
  for (std::size_t number = 0; number < places.size(); ++number) {
    if (!places[number].takes_work || !wanted_when_empty(request, places.details(number)).holds(request) ||
        !is_open(cluster, number, wanted, closed))
      continue;
    turns.emplace_back(has_room_at(places, number, request),
                       -static_cast<std::int64_t>(places[number].free.gpus),
                       -static_cast<std::int64_t>(places[number].free.cpus), number);
  }
  const std::size_t needed = std::max(1u, request.fewest_nodes());
  if (turns.size() < needed) return std::nullopt;
  std::ranges::nth_element(turns, turns.begin() + static_cast<std::ptrdiff_t>(needed - 1));
  Choice choice{{}, std::get<Instant>(turns[needed - 1])};
  for (std::size_t i = 0; i < needed; ++i)
    choice.nodes.insert(places.details(std::get<std::size_t>(turns[i])).name);
  return choice;
}

}  // namespace

std::optional<Hold> new_hold(const Cluster& cluster, const JobKey& key, const Wanted& wanted,
                             const Closed& closed, Instant now) {
  if (auto choice = soonest(cluster, wanted, closed))
    return Hold{key, std::move(choice->nodes), std::max(choice->last, now), {}};
  if (wanted.request.apart.empty()) return std::nullopt;
  // Where a job that it is to be kept apart from runs now it may go later; nobody knows when.
  auto choice = soonest(cluster, Wanted{wanted.request, wanted.nodes}, closed);
  if (!choice) return std::nullopt;
  return Hold{key, std::move(choice->nodes), kNever, {}};
}

bool is_good_still(const Cluster& cluster, const Hold& hold, const Wanted& wanted) {
  if (hold.nodes.size() != wanted.request.fewest_nodes()) return false;
  return !cluster.index.has_new_nodes || std::ranges::all_of(hold.nodes, [&](const NodeId& name) {
    const auto number = cluster.index.places.find(name);
    if (!number || !cluster.index.places[*number].takes_work) return false;
    const PlaceDetails& details = cluster.index.places.details(*number);
    return has_labels(wanted.request, details.labels) &&
           wanted_when_empty(wanted.request, details).holds(wanted.request);
  });
}

bool ends_before(const Hold& hold, Millis time_limit, Millis grace, Instant now) {
  return time_limit > Millis(0) && hold.from != kNever && now + time_limit + grace <= hold.from;
}

const Hold* find_hold(const Cluster& cluster, const JobKey& key) {
  const auto found = std::ranges::find(cluster.holds, key, &Hold::job);
  return found == cluster.holds.end() ? nullptr : &*found;
}

}  // namespace paddock::scheduler
