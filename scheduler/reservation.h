// scheduler/reservation.h – nodes set aside for tenants for a time that an operator names. Before it begins, nothing is
// placed on them that might run into it; from its beginning to its end only jobs of its tenants are; what of others still
// runs there when it begins is asked to save itself and go, at no cost to its retries. Its end changes nothing that runs.
//
// It begins and ends by the clock on the wall, as events that the coordinator makes of due_reservations(). Its nodes are
// chosen when it is made and stay the same. Internal to the scheduler but for the first four functions. Threads: pure
// functions, but for those that take a Step.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"
#include "scheduler/resources.h"

namespace paddock::scheduler {

struct Cluster;
struct Step;
struct JobRequest;
struct ReservationSet;
struct ReservationRemoved;
struct ReservationTurned;

struct Reservation {
  std::string name;
  std::set<std::string> tenants;
  std::set<NodeId> nodes;
  WallTime begins;
  WallTime ends;
  WallTime made;
  bool has_begun = false;
  bool operator==(const Reservation&) const = default;
};

// The nodes that it gets: those with the labels that no other reservation has at the time, first those on which nothing
// of others might run into it. kConflict: there are not so many. `nodes` 0: all of them, at least one.
Result<std::set<NodeId>> nodes_to_reserve(const Cluster& cluster, const ReservationSet& wanted, WallTime now);
// Those of them on which others' jobs may still run when it begins.
std::set<NodeId> nodes_to_clear(const Cluster& cluster, const Reservation& reservation);

// ReservationTurned for all that have begun or ended by now.
std::vector<ReservationTurned> due_reservations(const Cluster& cluster, WallTime now);
// When the next one begins or ends.
std::optional<WallTime> next_reservation_turn(const Cluster& cluster);

void set_reservation(Step& step, const ReservationSet& event);
void remove_reservation(Step& step, const ReservationRemoved& event);
void turn_reservation(Step& step, const ReservationTurned& event);

// The nodes that the tenant's job must leave alone: it might still run when their reservation begins, or it has begun.
std::set<NodeId> reserved_for_others(const Cluster& cluster, const std::string& tenant, const JobRequest& job,
                                     WallTime now);

// The same of one that starts at `start`, which is later: also of those reservations that begin by then, not of those that end.
std::set<NodeId> reserved_at(const Cluster& cluster, const std::string& tenant, const JobRequest& job,
                             WallTime start);
// Whether one of `nodes` is among them.
bool are_reserved_at(const Cluster& cluster, const std::string& tenant, const JobRequest& job, WallTime start,
                     const std::set<NodeId>& nodes);

// "a, b are reserved for tenant vision from 2026-12-01T08:00:00Z (reservation talk)", of those that hold `nodes`.
std::string reservations_text(const Cluster& cluster, const std::set<NodeId>& nodes);

}  // namespace paddock::scheduler
