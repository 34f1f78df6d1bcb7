// simulation/checks/reserved.h – a reservation stays until its end or until it is called off, whatever dies; it begins and
// ends in time; and nothing of others is placed on its nodes that might run into it, nor once it has begun.
// Looked at after every turn of the coordinator. Threads: one owner.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "scheduler/cluster.h"
#include "simulation/trace.h"

namespace paddock::simulation {

class Reserved {
 public:
  explicit Reserved(Trace& trace) : trace_(trace) {}

  // Somebody asks to call it off: from now on it may go. Each name is used once.
  void asks_to_call_off(const std::string& name) { may_go_.insert(name); }
  void confirmed(const std::string& name) {
    if (std::ranges::none_of(seen_, [&](const auto& seen) { return seen.first.first == name; }))
      trace_.violated("reserved: reservation " + name + ", which was confirmed, is unknown");
  }
  // Whatever of that name was made before `asked` is gone.
  void called_off(const std::string& name, WallTime asked) { gone_.try_emplace(name, asked); }

  // `was_turn`: what was due by now has been done.
  void look(const scheduler::Cluster& cluster, WallTime now, bool was_turn) {
    for (const auto& [name, reservation] : cluster.reservations) look_at(cluster, reservation, now, was_turn);
    for (auto& [key, seen] : seen_) {
      const auto there = cluster.reservations.find(key.first);
      if (seen.is_over || (there != cluster.reservations.end() && there->second.made == key.second)) continue;
      seen.is_over = true;
      if (seen.ends <= now) trace_.probe("reservation ended");
      if (seen.ends > now && !may_go_.contains(key.first))
        trace_.violated("reserved: reservation " + key.first + " was lost before its end");
      if (seen.ends > now) trace_.probe("reservation called off");
    }
    next_fence_ = cluster.next_fence;
  }

 private:
  struct Seen {
    WallTime ends;
    std::uint64_t first_fence = 0;              // of attempts placed since it was made
    std::optional<std::uint64_t> first_inside;  // since it began
    bool is_over = false;
  };

  void look_at(const scheduler::Cluster& cluster, const scheduler::Reservation& reservation, WallTime now,
               bool was_turn) {
    Seen& seen =
        seen_
            .try_emplace({reservation.name, reservation.made}, Seen{reservation.ends, next_fence_, {}, false})
            .first->second;
    if (reservation.has_begun && !seen.first_inside) {
      seen.first_inside = next_fence_;
      trace_.probe("reservation began");
    }
    const auto gone = gone_.find(reservation.name);
    if (gone != gone_.end() && reservation.made < gone->second)
      trace_.violated("reserved: reservation " + reservation.name + " goes on, though it was called off");
    if (was_turn && reservation.made < now &&
        (reservation.ends <= now || (reservation.begins <= now && !reservation.has_begun)))
      trace_.violated("reserved: reservation " + reservation.name + " did not begin or end in time");
    for (const NodeId& name : reservation.nodes) {
      const auto node = cluster.nodes.find(name);
      if (node == cluster.nodes.end()) continue;
      for (const Fence fence : node->second.attempts)
        look_at(cluster, reservation, seen, scheduler::find_attempt(cluster, fence));
    }
  }

  void look_at(const scheduler::Cluster& cluster, const scheduler::Reservation& reservation, const Seen& seen,
               const scheduler::FoundConst& found) {
    if (reservation.tenants.contains(scheduler::find_graph(cluster, found.key.graph)->tenant)) return;
    const std::uint64_t fence = found.attempt->fence.value;
    const std::string shown = "attempt " + std::to_string(fence) + " of another tenant";
    if (seen.first_inside) {
      trace_.probe("others were there when a reservation began");
      if (fence >= *seen.first_inside)
        trace_.violated("reserved: " + shown + " was placed within reservation " + reservation.name);
      return;
    }
    const scheduler::JobRequest& job = found.job->request;
    const bool ends_before =
        job.time_limit > Millis(0) &&
        found.attempt->started.unix_ms + (job.time_limit + job.grace).count() <= reservation.begins.unix_ms;
    if (fence >= seen.first_fence && ends_before) trace_.probe("job placed before a reservation");
    if (fence >= seen.first_fence && !ends_before)
      trace_.violated("reserved: " + shown + " may run into reservation " + reservation.name);
  }

  Trace& trace_;
  std::map<std::pair<std::string, WallTime>, Seen> seen_;  // by name and when it was made
  std::set<std::string> may_go_;
  std::map<std::string, WallTime> gone_;
  std::uint64_t next_fence_ = 1;  // when it was last looked
};

}  // namespace paddock::simulation
