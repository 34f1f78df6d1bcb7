#include "scheduler/rules_2_holds.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "scheduler/attempt.h"
#include "scheduler/backfill.h"
#include "scheduler/sentence.h"

namespace paddock::scheduler {
namespace {

Nodes fitting_names(const Cluster& cluster, const Wanted& wanted, const Nodes& closed) {
  Nodes names;
  for (const std::size_t number : all_fitting(cluster, wanted, Closed{{}, &closed}))
    names.insert(cluster.index.places.details(number).name);
  return names;
}

// How many more of an attempt's resources a node would have if some of its attempts were gone.
class Release {
 public:
  Release(const Cluster& cluster, const Wanted& wanted, const Nodes& closed);

  // As if the attempt had ended.
  void release(Fence fence);
  // Takes that back.
  void restore(Fence fence);
  bool fits(const NodeId& node) const;
  // The nodes that fit now, or would with what was released.
  const Nodes& fitting() const { return fitting_; }

 private:
  void change(Fence fence, bool is_release);
  Room room_of(const Node& node) const;

  const Cluster& cluster_;
  const Wanted& wanted_;
  const Nodes& closed_;
  std::map<NodeId, Room> more_;
  Nodes fitting_;
};

Release::Release(const Cluster& cluster, const Wanted& wanted, const Nodes& closed)
    : cluster_(cluster), wanted_(wanted), closed_(closed), fitting_(fitting_names(cluster, wanted, closed)) {}

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

// Running attempts looked at to find out when a gang will fit; beyond that the future is not known well anyway.
constexpr int kAttemptsLookedAtMax = 2'000;

// Goes through the running attempts in the order in which their time limits end them, until enough nodes fit.
std::optional<Hold> earliest(const Cluster& cluster, const JobKey& key, const Wanted& wanted,
                             const Nodes& closed) {
  const std::size_t needed = wanted.request.fewest_nodes();
  Release release(cluster, wanted, closed);
  int looked_at = 0;
  for (const auto& [ends_at, fence] : cluster.time_limits) {
    if (++looked_at > kAttemptsLookedAtMax) return std::nullopt;
    const FoundConst found = find_attempt(cluster, fence);
    release.release(fence);
    if (release.fitting().size() < needed) continue;
    Hold hold{key, {}, ends_at + found.job->request.grace, {}};
    for (const NodeId& node : release.fitting()) {
      if (hold.nodes.size() < needed) hold.nodes.insert(node);
    }
    return hold;
  }
  return std::nullopt;
}

constexpr int kVictimsLookedAtMax = 2'000;

// Where it did not help it is not tried again at every decision.
constexpr Millis kTryAgainAfter = std::chrono::seconds(10);

bool is_live(const Cluster& cluster, Fence fence) {
  const FoundConst found = find_attempt(cluster, fence);
  return found.attempt != nullptr && found.attempt->is_live();
}

// Lower priority first, then the newest: it has least to lose.
std::vector<Fence> candidates(const Cluster& cluster, std::int64_t priority) {
  std::vector<Fence> fences;
  auto from = cluster.index.preemptible.begin();
  while (from != cluster.index.preemptible.end() && from->first < priority) {
    const auto same_priority_end = cluster.index.preemptible.lower_bound({from->first + 1, Fence()});
    for (auto each = same_priority_end; each != from && fences.size() < kVictimsLookedAtMax;)
      fences.push_back((--each)->second);
    from = same_priority_end;
  }
  return fences;
}

bool all_fit(const Release& release, const Nodes& nodes) {
  return std::ranges::all_of(nodes, [&](const NodeId& node) { return release.fits(node); });
}

}  // namespace

std::optional<Hold> kept_hold_2(const Cluster& cluster, const JobKey& key, const Wanted& wanted,
                                const Nodes& closed, Instant now) {
  const Hold* before = find_hold(cluster, key);
  if (before == nullptr || before->from < now || before->nodes.size() != wanted.request.fewest_nodes())
    return std::nullopt;
  for (const NodeId& name : before->nodes) {
    const auto node = cluster.nodes.find(name);
    if (node == cluster.nodes.end() || closed.contains(name) || !node->second.takes_work() ||
        !has_labels(wanted.request, node->second.offer) ||
        !room_when_empty(wanted.request, node->second.offer).holds(wanted.request))
      return std::nullopt;
  }
  return *before;
}

std::optional<Hold> new_hold_2(const Cluster& cluster, const JobKey& key, const Wanted& wanted,
                               const Nodes& closed) {
  if (auto hold = earliest(cluster, key, wanted, closed)) return hold;
  auto nodes = find_nodes_when_empty(cluster, wanted, closed);
  if (!nodes) return std::nullopt;
  return Hold{key, *std::move(nodes), kNever, {}};
}

Nodes closed_to_2(const std::vector<Hold>& holds, Millis time_limit, Millis grace, Instant now) {
  Nodes closed;
  for (const Hold& hold : holds) {
    const bool ends_before =
        time_limit > Millis(0) && hold.from != kNever && now + time_limit + grace <= hold.from;
    if (!ends_before) closed.insert(hold.nodes.begin(), hold.nodes.end());
  }
  return closed;
}

void preempt_for_2(Step& step, Hold& hold, std::int64_t priority, const Wanted& wanted, const Nodes& closed) {
  const Cluster& cluster = step.cluster;
  const bool is_clearing =
      std::ranges::any_of(hold.victims, [&](const Fence fence) { return is_live(cluster, fence); });
  const bool was_tried_just_now = hold.looked_at > Instant() && step.at.now - hold.looked_at < kTryAgainAfter;
  if (is_clearing || was_tried_just_now) return;
  hold.looked_at = step.at.now;
  const std::size_t needed = wanted.request.fewest_nodes();
  Release release(cluster, wanted, closed);
  std::vector<Fence> released;
  for (const Fence fence : candidates(cluster, priority)) {
    if (release.fitting().size() >= needed) break;
    release.release(fence);
    released.push_back(fence);
  }
  if (release.fitting().size() < needed) return;
  Nodes nodes;
  for (const NodeId& node : release.fitting()) {
    if (nodes.size() < needed) nodes.insert(node);
  }
  // Whoever need not go stays, those with most to lose first.
  std::set<Fence> victims;
  for (auto fence = released.rbegin(); fence != released.rend(); ++fence) {
    release.restore(*fence);
    if (all_fit(release, nodes)) continue;
    release.release(*fence);
    victims.insert(*fence);
  }
  hold = Hold{hold.job, std::move(nodes), kNever, victims, step.at.now};
  for (const Fence fence : victims) {
    preempt_attempt(step, fence, "makes room for " + shown(hold.job) + ", whose priority is higher");
  }
}

}  // namespace paddock::scheduler
