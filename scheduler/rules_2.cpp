#include "scheduler/rules_2.h"

#include <compare>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "scheduler/attempt.h"
#include "scheduler/fair_share.h"
#include "scheduler/placement.h"
#include "scheduler/priority.h"
#include "scheduler/quota.h"
#include "scheduler/rules_2_holds.h"

namespace paddock::scheduler {
namespace {

struct GroupKey {
  std::string tenant;
  std::int64_t priority = 0;
  Millis time_limit{0};
  GraphId graph;  // only where the request keeps jobs of a graph apart; else 0
  Request request;
  auto operator<=>(const GroupKey&) const = default;
};

GroupKey group_of(const Graph& graph, const Job& job) {
  const Request& request = job.request.resources;
  return {graph.tenant, graph.priority, job.request.time_limit, request.apart.empty() ? GraphId() : graph.id,
          request};
}

// The groups of one decision, next first. A start changes its tenant's share, so its groups are put in their
// place again; what cannot be placed is dropped for the rest of the decision.
class TurnsByRules2 {
 public:
  TurnsByRules2(Cluster& cluster, Instant now);
  TurnsByRules2(const TurnsByRules2&) = delete;
  TurnsByRules2& operator=(const TurnsByRules2&) = delete;

  struct Group {
    const GroupKey* key = nullptr;
    std::set<Queued>* jobs = nullptr;  // not empty when its turn comes
  };

  // Whose turn it is; nullptr: all have been dropped or are empty.
  const Group* next();
  // The one that next() gave has to wait, and all of it.
  void drop();
  // The first job of the one that next() gave has started, and works on `stage`.
  void started(const std::string& stage);

 private:
  struct Turn {
    std::int64_t minus_priority = 0;
    std::int64_t score = 0;
    GraphId graph;
    std::uint32_t index = 0;  // of the first job in its graph
    std::size_t group = 0;
    auto operator<=>(const Turn&) const = default;
  };

  // Of the group as it is now.
  Turn turn_of(std::size_t group, std::int64_t score) const;

  Cluster& cluster_;
  const Instant now_;
  std::map<GroupKey, std::set<Queued>> queued_;
  std::vector<Group> groups_;
  std::vector<std::int64_t> risen_;  // by group
  std::vector<Turn> current_;        // by group: as it stands in turns_
  std::set<Turn> turns_;
  std::map<std::string, std::vector<std::size_t>> of_tenant_;
};

TurnsByRules2::TurnsByRules2(Cluster& cluster, Instant now) : cluster_(cluster), now_(now) {
  for (const Queued& queued : cluster.queue) {
    const JobKey key{queued.graph, queued.job};
    const Graph& graph = *find_graph(cluster, key.graph);
    const Job& job = graph.jobs.at(key.job);
    if (!same_work(cluster, key, job)) queued_[group_of(graph, job)].insert(queued);
  }
  for (auto& [key, jobs] : queued_) {
    of_tenant_[key.tenant].push_back(groups_.size());
    groups_.push_back({&key, &jobs});
    risen_.push_back(risen_priority(cluster, {key.tenant, key.priority}, now));
  }
  current_.resize(groups_.size());
  for (const auto& [tenant, groups] : of_tenant_) {
    const std::int64_t score = of_tenant_.size() < 2 ? 0 : score_of(cluster, tenant, now);
    for (const std::size_t group : groups) turns_.insert(current_[group] = turn_of(group, score));
  }
}

TurnsByRules2::Turn TurnsByRules2::turn_of(std::size_t group, std::int64_t score) const {
  const Queued& first = *groups_[group].jobs->begin();
  return Turn{-risen_[group], score, first.graph, first.index, group};
}

const TurnsByRules2::Group* TurnsByRules2::next() {
  while (!turns_.empty() && groups_[turns_.begin()->group].jobs->empty()) drop();
  return turns_.empty() ? nullptr : &groups_[turns_.begin()->group];
}

void TurnsByRules2::drop() {
  turns_.erase(turns_.begin());
}

void TurnsByRules2::started(const std::string& stage) {
  std::set<Queued>& jobs = *groups_[turns_.begin()->group].jobs;
  jobs.erase(jobs.begin());
  // Others that do the same work wait for it now.
  const auto same = cluster_.index.same_stage.find(stage);
  if (same != cluster_.index.same_stage.end()) {
    for (const Queued& queued : same->second) {
      const Graph& graph = *find_graph(cluster_, queued.graph);
      const auto group = queued_.find(group_of(graph, graph.jobs.at(queued.job)));
      if (group != queued_.end()) group->second.erase(queued);
    }
  }
  const std::string& tenant = groups_[turns_.begin()->group].key->tenant;
  const std::int64_t score = of_tenant_.size() < 2 ? 0 : score_of(cluster_, tenant, now_);
  for (const std::size_t group : of_tenant_.at(tenant)) {
    const auto turn = turns_.find(current_[group]);
    if (turn == turns_.end()) continue;  // dropped
    turns_.erase(turn);
    if (!groups_[group].jobs->empty()) turns_.insert(current_[group] = turn_of(group, score));
  }
}

constexpr std::size_t kNodesSearchedFreely = 2'000;

class DecisionByRules2 {
 public:
  explicit DecisionByRules2(Step& step)
      : step_(step), cluster_(step.cluster), turns_(step.cluster, step.at.now) {}

  void run() {
    while (const TurnsByRules2::Group* group = turns_.next()) {
      const Queued first = *group->jobs->begin();
      if (place_first(*group->key, first)) {
        turns_.started(find_job(cluster_, {first.graph, first.job})->launch.stage_key);
      } else {
        turns_.drop();
      }
    }
    cluster_.holds = std::move(holds_);
    index_holds(cluster_);
  }

 private:
  // What fails once fails for the rest of the decision: room only gets less, and more of it is kept.
  struct Shape {
    const Request* request = nullptr;  // of the group, which outlives the decision
    Millis time_limit{0};
    GraphId graph;
    auto operator<=>(const Shape& other) const {
      if (const auto order = *request <=> *other.request; order != 0) return order;
      return std::tie(time_limit, graph) <=> std::tie(other.time_limit, other.graph);
    }
  };

  // False: the group's first job, and so all of it, has to wait.
  bool place_first(const GroupKey& group, const Queued& first) {
    const Shape shape{&group.request, group.time_limit, group.graph};
    const bool has_failed = failed_.contains(shape);
    if (has_failed && holds_.size() >= kHoldsMax) return false;
    const JobKey key{first.graph, first.job};
    const Job& job = *find_job(cluster_, key);
    const Request& request = job.request.resources;
    const std::uint32_t allowed = nodes_within_quota(cluster_, group.tenant, request);
    if (allowed < request.fewest_nodes()) return false;
    const Wanted wanted{request, allowed, key.graph};
    if (!has_failed) {
      if (const auto nodes = find(job, wanted)) {
        start_attempt(step_, key, *nodes);
        return true;
      }
      failed_.insert(shape);
    }
    if (holds_.size() < kHoldsMax) keep_nodes(key, wanted, group.priority);
    return false;
  }

  // Elsewhere than where it was lost before, if that is possible now.
  std::optional<std::vector<NodeId>> find(const Job& job, const Wanted& wanted) const {
    const Nodes closed = closed_to_2(holds_, job.request.time_limit, job.request.grace, step_.at.now);
    if (!job.suspects.empty()) {
      Nodes shunned = closed;
      shunned.insert(job.suspects.begin(), job.suspects.end());
      if (auto nodes = find_nodes(cluster_, wanted, shunned)) return nodes;
    }
    return find_nodes(cluster_, wanted, closed);
  }

  void keep_nodes(const JobKey& key, const Wanted& wanted, std::int64_t priority) {
    Nodes closed;
    for (const Hold& hold : holds_) closed.insert(hold.nodes.begin(), hold.nodes.end());
    auto hold = kept_hold_2(cluster_, key, wanted, closed, step_.at.now);
    // To find one takes a while in a large cluster: one a decision, so that each stays short.
    if (!hold && (searches_ == 0 || cluster_.nodes.size() <= kNodesSearchedFreely)) {
      ++searches_;
      hold = new_hold_2(cluster_, key, wanted, closed);
    }
    if (!hold) return;
    preempt_for_2(step_, *hold, priority, wanted, closed);
    holds_.push_back(*std::move(hold));
  }

  Step& step_;
  Cluster& cluster_;
  TurnsByRules2 turns_;
  std::set<Shape> failed_;
  std::vector<Hold> holds_;
  int searches_ = 0;  // for nodes to keep
};

}  // namespace

void place_queued_by_rules_2(Step& step) {
  if (step.cluster.queue.empty() && step.cluster.holds.empty()) return;
  DecisionByRules2(step).run();
}

}  // namespace paddock::scheduler
