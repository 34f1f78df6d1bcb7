// scheduler/index.h – what can be found out from the rest of the cluster, kept at hand so that a decision looks at
// little: nodes by what they have free, queued jobs by what they ask for. rebuilt() makes it from nothing and must
// give the same; a snapshot need not hold it. Kept in step by the functions below. Internal to the scheduler.
//
// 1. `free` has every node that takes work (is ready, not cordoned), under what it has free.
// 2. `groups` has every queued job that does not wait for another to do the same work, under what it asks for.
// 3. `same_stage` has every queued job that has a stage key.
// 4. `preemptible` has every live attempt that may be preempted and is not being ended, by its graph's priority.
// 5. `total` is what the ready nodes offer, `racked` how many of those that take work say their rack.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/ids.h"
#include "scheduler/resources.h"
#include "scheduler/shared.h"
#include "scheduler/tenant.h"

namespace paddock::scheduler {

struct Cluster;
struct Node;
struct Job;
struct Graph;
struct Attempt;

// Sooner is smaller: priority, then the order of submission.
struct Queued {
  std::int64_t minus_priority = 0;
  GraphId graph;
  std::uint32_t index = 0;
  JobName job;
  auto operator<=>(const Queued&) const = default;
};

struct FreeKey {
  std::uint64_t gpus = 0;
  std::uint64_t cpus = 0;
  auto operator<=>(const FreeKey&) const = default;
};

// Jobs that are alike for placement: if one cannot be placed, none can.
struct GroupKey {
  std::string tenant;
  std::int64_t priority = 0;
  Millis time_limit{0};
  GraphId graph;  // only where the request keeps jobs of a graph apart; else 0
  Shared<Request> request;
  auto operator<=>(const GroupKey&) const = default;
};

struct Index {
  struct Counted {
    std::optional<FreeKey> key;  // under which the node stands in `free`
    Usage offered;               // counted in `total`
    bool is_racked = false;
    bool operator==(const Counted&) const = default;
  };

  std::map<FreeKey, std::set<NodeId>> free;
  std::map<GroupKey, std::set<Queued>> groups;
  std::map<std::string, std::set<Queued>> same_stage;
  std::set<std::pair<std::int64_t, Fence>> preemptible;
  Usage total;
  std::uint64_t racked = 0;
  bool keeps_empty_groups = false;  // while a decision points to them: priority.h
  std::map<NodeId, Counted> counted;
  bool operator==(const Index&) const = default;
};

Index rebuilt(const Cluster& cluster);

// After any change of what the node has free, offers, or whether it takes work.
void index_node(Cluster& cluster, const Node& node);
// As the job enters the queue, and as it leaves it.
void index_queued(Cluster& cluster, const Graph& graph, const Job& job);
void forget_queued(Cluster& cluster, const Graph& graph, const Job& job);
// When a job begins to work on its stage, the others of that stage wait for it; when it has ended they go on.
void park_others(Cluster& cluster, const std::string& stage, const JobKey& owner);
void unpark(Cluster& cluster, const std::string& stage, Instant now);
void index_attempt(Cluster& cluster, const Graph& graph, const Job& job, const Attempt& attempt);
void forget_attempt(Cluster& cluster, const Graph& graph, const Attempt& attempt);

GroupKey group_of(const Graph& graph, const Job& job);
Queued queued_of(const Graph& graph, const Job& job);

}  // namespace paddock::scheduler
