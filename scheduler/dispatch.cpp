#include "scheduler/dispatch.h"

#include <algorithm>
#include <compare>
#include <set>
#include <tuple>
#include <utility>

#include "base/check.h"
#include "scheduler/attempt.h"
#include "scheduler/backfill.h"
#include "scheduler/placement.h"
#include "scheduler/preemption.h"
#include "scheduler/priority.h"
#include "scheduler/quota.h"
#include "scheduler/reservation.h"
#include "scheduler/rules_1.h"

namespace paddock::scheduler {
namespace {

constexpr std::size_t kNodesSearchedFreely = 2'000;

class Decision {
 public:
  explicit Decision(Step& step) : step_(step), cluster_(step.cluster), turns_(step.cluster, step.at.now) {}

  void run() {
    while (const Turns::Group* group = turns_.next()) {
      if (place_first(*group->key, *group->jobs->begin())) {
        turns_.started();
      } else {
        turns_.drop();
      }
    }
    cluster_.holds = std::move(holds_);
  }

 private:
  // What fails once fails for the rest of the decision: room only gets less, and more of it is kept.
  struct Shape {
    const Request* request = nullptr;  // of the group, which outlives the decision
    Millis time_limit{0};
    GraphId graph;
    std::string tenant;  // only where nodes are reserved for some
    auto operator<=>(const Shape& other) const {
      if (const auto order = *request <=> *other.request; order != 0) return order;
      return std::tie(time_limit, graph, tenant) <=> std::tie(other.time_limit, other.graph, other.tenant);
    }
  };

  // False: the group's first job, and so all of it, has to wait.
  bool place_first(const GroupKey& group, const Queued& first) {
    const bool is_reserved = !cluster_.reservations.empty();
    const Shape shape{&group.request, group.time_limit, group.graph, is_reserved ? group.tenant : ""};
    const bool has_failed = failed_.contains(shape);
    if (has_failed && holds_.size() >= kHoldsMax) return false;
    const JobKey key{first.graph, first.job};
    const Job& job = *find_job(cluster_, key);
    const Request& request = job.request.resources;
    const std::uint32_t allowed = nodes_within_quota(cluster_, group.tenant, request);
    if (allowed < request.fewest_nodes()) return false;
    const Wanted wanted{request, allowed, key.graph};
    const Nodes reserved = reserved_for_others(cluster_, group.tenant, job.request, step_.at.wall);
    if (!has_failed) {
      if (const auto nodes = find(job, wanted, reserved)) {
        start_attempt(step_, key, *nodes, reason_of(key, job, *nodes));
        return true;
      }
      failed_.insert(shape);
    }
    if (holds_.size() < kHoldsMax) keep_nodes(key, wanted, group.priority, reserved);
    return false;
  }

  // Elsewhere than where it was lost before, if that is possible now.
  std::optional<std::vector<NodeId>> find(const Job& job, const Wanted& wanted, const Nodes& reserved) const {
    Nodes closed = closed_to(holds_, job.request.time_limit, job.request.grace, step_.at.now);
    closed.insert(reserved.begin(), reserved.end());
    if (!job.suspects.empty()) {
      Nodes shunned = closed;
      shunned.insert(job.suspects.begin(), job.suspects.end());
      if (auto nodes = find_nodes(cluster_, wanted, shunned)) return nodes;
    }
    return find_nodes(cluster_, wanted, closed);
  }

  StartReason reason_of(const JobKey& key, const Job& job, const std::vector<NodeId>& nodes) const {
    StartReason reason = turns_.lead();
    const auto share_nodes = [&](const Hold& hold) {
      return std::ranges::any_of(nodes, [&](const NodeId& node) { return hold.nodes.contains(node); });
    };
    const Hold* own = find_hold(cluster_, key);
    reason.were_kept = own != nullptr && share_nodes(*own);
    reason.is_elsewhere = !job.suspects.empty() && std::ranges::none_of(nodes, [&](const NodeId& node) {
      return job.suspects.contains(node);
    });
    if (holds_.empty()) return reason;
    const auto shared = std::ranges::find_if(holds_, share_nodes);
    const Hold& ahead = shared == holds_.end() ? holds_.front() : *shared;
    reason.is_on_kept_nodes = shared != holds_.end();
    reason.ahead_graph = ahead.job.graph;
    reason.ahead_index = find_job(cluster_, ahead.job)->index;
    return reason;
  }

  void keep_nodes(const JobKey& key, const Wanted& wanted, std::int64_t priority, const Nodes& reserved) {
    Nodes closed = reserved;
    for (const Hold& hold : holds_) closed.insert(hold.nodes.begin(), hold.nodes.end());
    auto hold = kept_hold(cluster_, key, wanted, closed, step_.at.now);
    // To find one takes a while in a large cluster: one a decision, so that each stays short.
    if (!hold && (searches_ == 0 || cluster_.nodes.size() <= kNodesSearchedFreely)) {
      ++searches_;
      hold = new_hold(cluster_, key, wanted, closed);
    }
    if (!hold) return;
    preempt_for(step_, *hold, priority, wanted, closed);
    holds_.push_back(*std::move(hold));
  }

  Step& step_;
  Cluster& cluster_;
  Turns turns_;
  std::set<Shape> failed_;
  std::vector<Hold> holds_;
  int searches_ = 0;  // for nodes to keep
};

}  // namespace

void place_queued(Step& step) {
  step.cluster.is_placement_due = false;
  if (step.cluster.rules < 2) return place_queued_by_rules_1(step);
  if (step.cluster.queue.empty() && step.cluster.holds.empty()) return;
  Decision(step).run();
  PADDOCK_CHECK(!step.cluster.is_placement_due, step.cluster.next_fence);
}

}  // namespace paddock::scheduler
