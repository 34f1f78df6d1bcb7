#include "scheduler/reservation.h"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "scheduler/attempt.h"
#include "scheduler/event.h"
#include "scheduler/placement.h"
#include "scheduler/schedule.h"
#include "scheduler/sentence.h"
#include "scheduler/step.h"

namespace paddock::scheduler {
namespace {

bool ends_before(const JobRequest& job, WallTime start, WallTime reserved) {
  return job.time_limit > Millis(0) &&
         start.unix_ms + (job.time_limit + job.grace).count() <= reserved.unix_ms;
}

// Of a job that starts later.
bool is_in_the_way(const Reservation& reservation, const std::string& tenant, const JobRequest& job,
                   WallTime start) {
  return !reservation.tenants.contains(tenant) && start < reservation.ends &&
         !ends_before(job, start, reservation.begins);
}

bool is_of(const Reservation& reservation, const Cluster& cluster, GraphId graph) {
  return reservation.tenants.contains(find_graph(cluster, graph)->tenant);
}

// Live attempts of others on the node that may still run then.
std::vector<Fence> intruders(const Cluster& cluster, const Reservation& reservation, const Node& node) {
  std::vector<Fence> found;
  for (const Fence fence : node.attempts) {
    const FoundConst attempt = find_attempt(cluster, fence);
    if (!is_of(reservation, cluster, attempt.key.graph) && !attempt.attempt->ending &&
        !ends_before(attempt.job->request, attempt.attempt->started, reservation.begins))
      found.push_back(fence);
  }
  return found;
}

bool overlaps(const Reservation& reservation, WallTime begins, WallTime ends) {
  return begins < reservation.ends && reservation.begins < ends;
}

Reservation begun_from(const ReservationSet& wanted, WallTime now) {
  return {wanted.name, wanted.tenants, {}, std::max(wanted.begins, now), wanted.ends, now, false};
}

}  // namespace

Result<std::set<NodeId>> nodes_to_reserve(const Cluster& cluster, const ReservationSet& wanted,
                                          WallTime now) {
  const Reservation reservation = begun_from(wanted, now);
  std::set<NodeId> taken;
  for (const auto& [name, other] : cluster.reservations) {
    if (name != wanted.name && overlaps(other, wanted.begins, wanted.ends))
      taken.insert(other.nodes.begin(), other.nodes.end());
  }
  Request request;
  request.labels = wanted.labels;
  std::vector<std::tuple<bool, std::size_t, NodeId>> fitting;
  std::size_t reserved = 0;
  for (const auto& [name, node] : cluster.nodes) {
    if (!node.takes_work() || !has_labels(request, node.offer)) continue;
    if (taken.contains(name))
      ++reserved;
    else
      fitting.emplace_back(!intruders(cluster, reservation, node).empty(), node.attempts.size(), name);
  }
  const std::size_t needed = wanted.nodes == 0 ? std::max<std::size_t>(1, fitting.size()) : wanted.nodes;
  if (fitting.size() < needed) {
    return fail(Code::kConflict, "reservation " + wanted.name + " asks for " + count(needed, "node") +
                                     ", and " + std::to_string(fitting.size()) + " would do" +
                                     (reserved > 0 ? ", besides " + std::to_string(reserved) +
                                                         " that are reserved at that time"
                                                   : "") +
                                     ": ask for fewer nodes, other labels or another time (`paddock "
                                     "reservations` lists what is reserved)");
  }
  std::ranges::sort(fitting);
  std::set<NodeId> nodes;
  for (std::size_t i = 0; i < needed; ++i) nodes.insert(std::get<2>(fitting[i]));
  return nodes;
}

std::set<NodeId> nodes_to_clear(const Cluster& cluster, const Reservation& reservation) {
  std::set<NodeId> nodes;
  for (const NodeId& name : reservation.nodes) {
    const auto node = cluster.nodes.find(name);
    if (node != cluster.nodes.end() && !intruders(cluster, reservation, node->second).empty())
      nodes.insert(name);
  }
  return nodes;
}

std::vector<ReservationTurned> due_reservations(const Cluster& cluster, WallTime now) {
  std::vector<ReservationTurned> due;
  for (const auto& [name, reservation] : cluster.reservations) {
    if (reservation.ends <= now)
      due.push_back({name, true});
    else if (!reservation.has_begun && reservation.begins <= now)
      due.push_back({name, false});
  }
  return due;
}

std::optional<WallTime> next_reservation_turn(const Cluster& cluster) {
  std::optional<WallTime> next;
  for (const auto& [name, reservation] : cluster.reservations) {
    const WallTime turn = reservation.has_begun ? reservation.ends : reservation.begins;
    next = next ? std::min(*next, turn) : turn;
  }
  return next;
}

void set_reservation(Step& step, const ReservationSet& event) {
  if (!is_name(event.name) || event.tenants.empty() || event.ends <= event.begins ||
      event.ends <= step.at.wall || step.cluster.reservations.contains(event.name))
    return;
  auto nodes = nodes_to_reserve(step.cluster, event, step.at.wall);
  if (!nodes) return;
  Reservation reservation = begun_from(event, step.at.wall);
  reservation.nodes = *std::move(nodes);
  step.cluster.reservations[event.name] = std::move(reservation);
  step.look_again();  // nodes kept for others may be among them
}

void remove_reservation(Step& step, const ReservationRemoved& event) {
  if (step.cluster.reservations.erase(event.name) > 0) step.look_again();
}

void turn_reservation(Step& step, const ReservationTurned& event) {
  if (event.has_ended) return remove_reservation(step, {event.name});
  const auto found = step.cluster.reservations.find(event.name);
  if (found == step.cluster.reservations.end() || found->second.has_begun) return;
  found->second.has_begun = true;
  const Reservation& reservation = found->second;
  for (const NodeId& name : reservation.nodes) {
    const auto node = step.cluster.nodes.find(name);
    if (node == step.cluster.nodes.end()) continue;
    for (const Fence fence : std::set(node->second.attempts)) {
      if (!is_of(reservation, step.cluster, find_attempt(step.cluster, fence).key.graph))
        preempt_attempt(step, fence, "its node " + name.value + " is reserved now (" + event.name + ")");
    }
  }
  step.look_again();
}

std::set<NodeId> reserved_for_others(const Cluster& cluster, const std::string& tenant, const JobRequest& job,
                                     WallTime now) {
  std::set<NodeId> nodes;
  for (const auto& [name, reservation] : cluster.reservations) {
    if (reservation.tenants.contains(tenant)) continue;
    if (reservation.has_begun || !ends_before(job, now, reservation.begins))
      nodes.insert(reservation.nodes.begin(), reservation.nodes.end());
  }
  return nodes;
}

std::set<NodeId> reserved_at(const Cluster& cluster, const std::string& tenant, const JobRequest& job,
                             WallTime start) {
  std::set<NodeId> nodes;
  for (const auto& [name, reservation] : cluster.reservations) {
    if (is_in_the_way(reservation, tenant, job, start))
      nodes.insert(reservation.nodes.begin(), reservation.nodes.end());
  }
  return nodes;
}

bool are_reserved_at(const Cluster& cluster, const std::string& tenant, const JobRequest& job, WallTime start,
                     const std::set<NodeId>& nodes) {
  return std::ranges::any_of(cluster.reservations, [&](const auto& entry) {
    return is_in_the_way(entry.second, tenant, job, start) &&
           std::ranges::any_of(nodes, [&](const NodeId& node) { return entry.second.nodes.contains(node); });
  });
}

std::string reservations_text(const Cluster& cluster, const std::set<NodeId>& nodes) {
  std::vector<std::string> texts;
  for (const auto& [name, reservation] : cluster.reservations) {
    std::vector<std::string> of_it;
    for (const NodeId& node : reservation.nodes)
      if (nodes.contains(node)) of_it.push_back(node.value);
    if (of_it.empty()) continue;
    const std::vector<std::string> tenants(reservation.tenants.begin(), reservation.tenants.end());
    texts.push_back(join(of_it, ", ") + (of_it.size() == 1 ? " is" : " are") + " reserved for tenant " +
                    join(tenants, ", ") +
                    (reservation.has_begun ? " until " + show_utc(reservation.ends)
                                           : " from " + show_utc(reservation.begins)) +
                    " (reservation " + name + ")");
  }
  return join(texts, "; ");
}

}  // namespace paddock::scheduler
