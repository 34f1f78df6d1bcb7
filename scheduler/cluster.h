// scheduler/cluster.h – all that the coordinator knows and must not forget: graphs, nodes, the queue, stages.
// Changed by apply() alone. Ordered containers and integers only, so that every machine replays to the same
// value. Threads: a value with one owner.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "scheduler/event.h"
#include "scheduler/graph.h"
#include "scheduler/index.h"
#include "scheduler/reservation.h"
#include "scheduler/resources.h"
#include "scheduler/rest.h"
#include "scheduler/schedule.h"
#include "scheduler/tenant.h"

namespace paddock::scheduler {

// Why a node gets no new work: cordon.h.
struct Cordon {
  std::string reason;
  bool is_drain = false;  // an operator asked; else it failed too often
  Instant ends_at;        // of a drain the deadline for what runs there; 0: none
  WallTime since;
  bool operator==(const Cordon&) const = default;
};

// Of a node, that are remembered: whose late joins are told from new ones.
inline constexpr std::size_t kPastIncarnationsMax = 64;

struct Node {
  NodeId name;
  std::uint64_t incarnation = 0;  // drawn by its worker at start
  std::uint64_t generation = 0;   // how often the incarnation changed; ours, so that it never comes back
  std::string address;
  Offer offer;
  Free free;
  bool is_ready = false;     // false: lost or gone
  Instant lease_until;       // moves without being journaled, so nothing but due() may look at it
  std::set<Fence> attempts;  // live ones with a rank here that has not ended
  std::optional<Cordon> cordon{};
  std::int32_t faults = 0;  // attempts in a row that ended for its sake
  Instant last_fault_at{};
  std::int32_t cordons_in_a_row = 0;
  std::vector<std::uint64_t> past_incarnations{};  // daemons that are over, the newest last

  bool operator==(const Node&) const = default;

  bool takes_work() const { return is_ready && !cordon; }
  // Keeps the newest kPastIncarnationsMax. Nothing is decided by them here: the coordinator refuses their joins.
  void note_over(std::uint64_t ended);
};

// Nodes kept for a queued job that comes first and does not fit yet: backfill.h, preemption.h.
struct Hold {
  JobKey job;
  std::set<NodeId> nodes;
  Instant from = kNever;    // when it can start at the latest, as time limits tell
  std::set<Fence> victims;  // attempts that were asked to go for it
  Instant looked_at{};      // when it was last tried to make room for it
  bool operator==(const Hold&) const = default;
};

struct AttemptKey {
  JobKey job;
  std::uint32_t number = 0;
  bool operator==(const AttemptKey&) const = default;
};

struct Cluster {
  std::uint64_t next_graph = 1;
  std::uint64_t next_fence = 1;
  Instant now;  // of the newest event; the loop's clock goes on from here
  std::map<GraphId, Graph> graphs;
  std::map<NodeId, Node> nodes;
  std::set<Queued> queue;                           // exactly the queued jobs
  std::set<std::pair<Instant, JobKey>> backoffs;    // exactly the jobs that back off
  std::set<std::pair<Instant, Fence>> time_limits;  // exactly the live attempts that have one, not yet ending
  std::map<Fence, AttemptKey> attempts;             // every attempt that was ever placed
  std::map<std::string, GraphId> tokens;
  std::map<std::string, JobKey>
      stage_owners;  // stage key → the job that works on it, from its first attempt on
  std::map<std::string, Artifacts> stages;       // stage key → what it made: the cache
  bool is_placement_due = false;                 // something changed that may let a queued job run
  std::uint64_t rules = kRules;                  // by which placement decides: event.h
  std::set<std::pair<Instant, NodeId>> cordons;  // exactly the cordons that end by themselves
  std::map<std::string, Tenant> tenants;         // all that ever ran something, or were set
  std::map<std::pair<std::string, std::int64_t>, Instant>
      waits;                // since when nothing of a tenant's jobs of a priority has started: priority.h
  std::vector<Hold> holds;  // by whose turn comes first; as the last decision left them
  std::map<std::string, Schedule> schedules{};
  std::map<std::string, Reservation> reservations{};
  std::optional<Rest> rest{};  // of the queue, to which decisions have not come yet
  Index index;                 // made from the rest: index.h
  bool operator==(const Cluster&) const = default;
};

// nullptr: there is none.
Graph* find_graph(Cluster& cluster, GraphId id);
const Graph* find_graph(const Cluster& cluster, GraphId id);
Job* find_job(Cluster& cluster, const JobKey& key);
const Job* find_job(const Cluster& cluster, const JobKey& key);

// An attempt together with where it belongs. `attempt` is nullptr if no attempt has that fence.
struct Found {
  JobKey key;
  Job* job = nullptr;
  Attempt* attempt = nullptr;
};
Found find_attempt(Cluster& cluster, Fence fence);
struct FoundConst {
  JobKey key;
  const Job* job = nullptr;
  const Attempt* attempt = nullptr;
};
FoundConst find_attempt(const Cluster& cluster, Fence fence);

}  // namespace paddock::scheduler
