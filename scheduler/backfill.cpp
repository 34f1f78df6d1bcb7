#include "scheduler/backfill.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>
#include <vector>

#include "scheduler/least.h"

namespace paddock::scheduler {
namespace {

constexpr Instant kNow{std::numeric_limits<std::int64_t>::min()};

// When the place will have room for a part of the gang, as far as time limits tell; if that is after `at_most`, some time
// after it.
Instant has_room_at(const Cluster& cluster, std::size_t number, const Request& request, Instant at_most) {
  const Places& places = cluster.index.places;
  const PlaceDetails& details = places.details(number);
  Room room = wanted_part(request, details, places[number].free);
  if (room.holds(request)) return kNow;
  for (const Part& part : details.parts) {
    add_part(request, details, part, room, cluster.rules);
    if (part.ends_at > at_most || room.holds(request)) return part.ends_at;
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
  const auto turn_of = [&](std::size_t number, Instant at) {
    const Room& free = places[number].free;
    return Turn(at, -static_cast<std::int64_t>(free.gpus), -static_cast<std::int64_t>(free.cpus), number);
  };
  Least<Turn> turns(std::max(1u, request.fewest_nodes()));
  for (std::size_t number = 0; number < places.size(); ++number) {
    // Most places need no closer look: even their first part ends too late.
    const Instant at_least = places[number].free.holds(request) ? kNow : places.outlook(number).first_end;
    if (!places[number].takes_work || !turns.would_take(turn_of(number, at_least)) ||
        !wanted_when_empty(request, places.details(number)).holds(request) ||
        !is_open(cluster, number, wanted, closed))
      continue;
    const Instant at_most = turns.is_full() ? std::get<Instant>(turns.last()) : kNever;
    turns.add(turn_of(number, has_room_at(cluster, number, request, at_most)));
  }
  if (!turns.is_full()) return std::nullopt;
  Choice choice{{}, std::get<Instant>(turns.last())};
  for (const Turn& turn : turns.all()) choice.nodes.insert(places.details(std::get<std::size_t>(turn)).name);
  return choice;
}

}  // namespace

std::optional<Hold> new_hold(const Cluster& cluster, const JobKey& key, const Wanted& wanted,
                             const Closed& closed, Instant now) {
  if (auto choice = soonest(cluster, wanted, closed)) {
    Instant from = std::max(choice->last, now);
    // What should have ended by now is late, and nobody knows by how much.
    if (cluster.rules >= 4 && choice->last != kNow && choice->last <= now) from = kNever;
    return Hold{key, std::move(choice->nodes), from, {}};
  }
  if (wanted.request.apart.empty()) return std::nullopt;
  // Where a job that it is to be kept apart from runs now it may go later; nobody knows when.
  auto choice = soonest(cluster, Wanted{wanted.request, wanted.nodes}, closed);
  if (!choice) return std::nullopt;
  return Hold{key, std::move(choice->nodes), kNever, {}};
}

bool is_too_large(const Cluster& cluster, const Request& request) {
  const Places& places = cluster.index.places;
  std::uint32_t enough = std::max(1u, request.fewest_nodes());
  for (std::size_t number = 0; number < places.size() && enough > 0; ++number) {
    const PlaceDetails& details = places.details(number);
    if (places[number].takes_work && wanted_when_empty(request, details).holds(request) &&
        has_labels(request, details.labels))
      --enough;
  }
  return enough > 0;
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
