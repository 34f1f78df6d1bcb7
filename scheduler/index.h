// scheduler/index.h – what can be found out from the rest of the cluster, kept at hand so that a decision looks at
// little: nodes by what they have free, queued jobs by what they ask for. rebuilt() makes it from nothing and must
// give the same; a snapshot need not hold it. Kept in step by the functions below. Internal to the scheduler.
//
// 1. `places` has every node that ever joined, with what it has free, the parts of live attempts on it, and for which
//    hold it is kept.
// 2. `groups` has every queued job that does not wait for another to do the same work.
// 3. `same_stage` has every queued job that has a stage key.
// 4. `preemptible` has every live attempt that may be preempted and is not being ended, by its graph's priority.
// 5. `leases` has when each ready node's lease ends. Not compared, since that moves without being journaled.
// 6. `open_ranks` has every live attempt, and how many of its ranks have not ended.
// 7. `total` is what the ready nodes offer, `racked` how many of those that take work say their rack.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "scheduler/groups.h"
#include "scheduler/places.h"
#include "scheduler/tenant.h"

namespace paddock::scheduler {

struct Cluster;
struct Job;
struct Graph;
struct Attempt;
struct Rank;

struct Index {
  Places places;
  Groups groups;
  std::map<std::string, std::set<Queued>> same_stage;
  std::set<std::pair<std::int64_t, Fence>> preemptible;
  std::set<std::pair<Instant, NodeId>> leases;
  std::map<Fence, std::uint32_t> open_ranks;
  Usage total;
  std::uint64_t racked = 0;

  // What decisions remember of those before, so as not to try again what cannot have changed: dispatch.cpp. Nothing is
  // decided otherwise without it, so a snapshot need not hold it either, and it is not compared.
  bool has_new_nodes = true;       // one joined, left or changed since the last
  std::uint64_t nodes_state = 1;   // another whenever that was so
  std::vector<std::size_t> freed;  // places that have had more free since the last
  std::uint64_t decisions = 1;     // so many have been made
  std::uint64_t spared = 0;        // so many searches were not made because it was remembered that they fail

  bool operator==(const Index& other) const {
    return places == other.places && groups == other.groups && same_stage == other.same_stage &&
           preemptible == other.preemptible && open_ranks == other.open_ranks && total == other.total &&
           racked == other.racked;
  }
};

Index rebuilt(const Cluster& cluster);

// After any change of what the node offers or whether it takes work.
void index_node(Cluster& cluster, const Node& node);
// The node's lease ends then.
void set_lease(Cluster& cluster, Node& node, Instant until);
// After a change of nothing but what it has free: less, or more.
void index_taken(Cluster& cluster, const Node& node);
void index_freed(Cluster& cluster, const Node& node);
// As the job enters the queue, and as it leaves it.
void index_queued(Cluster& cluster, const Graph& graph, const Job& job);
void forget_queued(Cluster& cluster, const Graph& graph, const Job& job);
// When a job begins to work on its stage, the others of that stage wait for it; when it has ended they go on.
void park_others(Cluster& cluster, const std::string& stage, const JobKey& owner);
void unpark(Cluster& cluster, const std::string& stage, Instant now);
// As an attempt starts, when it is being ended, and when it has.
void index_attempt(Cluster& cluster, const Graph& graph, const Job& job, const Attempt& attempt);
void index_ending(Cluster& cluster, const Graph& graph, const Job& job, const Attempt& attempt);
void forget_attempt(Cluster& cluster, const Graph& graph, const Attempt& attempt);
// Before forget_rank(), for each rank that ends.
void note_rank_ended(Cluster& cluster, const Attempt& attempt);
// A rank of it has ended; `is_last`: its node has no other of it.
void forget_rank(Cluster& cluster, const Job& job, const Attempt& attempt, const Rank& rank, bool is_last);
// After a change of Cluster::holds.
void index_holds(Cluster& cluster);

ClassKey class_of(const Graph& graph);
Shape shape_of(const Graph& graph, const Job& job);
Queued queued_of(const Graph& graph, const Job& job);

}  // namespace paddock::scheduler
