#include "scheduler/dispatch.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "scheduler/attempt.h"
#include "scheduler/backfill.h"
#include "scheduler/placement.h"
#include "scheduler/preemption.h"
#include "scheduler/priority.h"
#include "scheduler/quota.h"
#include "scheduler/rules_1.h"
#include "scheduler/rules_2.h"
#include "scheduler/sentence.h"

namespace paddock::scheduler {
namespace {

// The nodes that are kept, as a decision goes: none at first, then, job by job, those that were kept before if they
// are still good, or others. Each hold has a mark at its nodes in the index, so whether a node is closed to a job costs
// nothing: below kHoldsMax those of before, by their position, from there on new ones.
class Holding {
 public:
  Holding(Cluster& cluster, Instant now) : cluster_(cluster), now_(now) { fresh_.reserve(kHoldsMax); }

  bool is_full() const { return order_.size() == kHoldsMax; }
  std::size_t size() const { return order_.size(); }
  // So many are kept as they were after the decision before, the first of them.
  std::size_t as_before() const { return has_changed_ ? 0 : order_.size(); }

  // What a job with this time limit and grace must leave alone.
  Closed closed_to(Millis time_limit, Millis grace) {
    Closed closed;
    for (const std::size_t mark : order_)
      closed.holds[mark] = !ends_before(hold(mark), time_limit, grace, now_);
    return closed;
  }
  Closed all() const {
    Closed closed;
    for (const std::size_t mark : order_) closed.holds[mark] = true;
    return closed;
  }

  // The hold of the job, kept from before or new; nullptr: none is to be had.
  Hold* keep(const JobKey& key, const Wanted& wanted) {
    for (std::size_t mark = 0; mark < cluster_.holds.size(); ++mark) {
      Hold& before = cluster_.holds[mark];
      if (before.job != key || before.from < now_ || is_broken_[mark] ||
          !is_good_still(cluster_, before, wanted))
        continue;
      has_changed_ = has_changed_ || mark != order_.size();
      order_.push_back(mark);
      return &before;
    }
    if (searches_ == kSearchesMax) return nullptr;
    ++searches_;
    auto found = new_hold(cluster_, key, wanted, all(), now_);
    if (!found) return nullptr;
    has_changed_ = true;
    fresh_.push_back(*std::move(found));
    mark_nodes(fresh_.back().nodes, kHoldsMax + fresh_.size() - 1);
    order_.push_back(kHoldsMax + fresh_.size() - 1);
    return &fresh_.back();
  }

  // The newest hold is on other nodes now.
  void move_newest(Nodes nodes) {
    has_changed_ = true;
    Hold& newest = hold(order_.back());
    for (const NodeId& node : newest.nodes) cluster_.index.places.keep(*cluster_.index.places.find(node), -1);
    newest.nodes = std::move(nodes);
    mark_nodes(newest.nodes, order_.back());
  }
  // All closed but the newest.
  Closed before_newest() const {
    Closed closed = all();
    closed.holds[order_.back()] = false;
    return closed;
  }

  // True: they are those of the decision before.
  bool settle() {
    if (!has_changed_ && order_.size() == cluster_.holds.size()) return true;
    std::vector<Hold> holds;
    for (const std::size_t mark : order_) holds.push_back(std::move(hold(mark)));
    cluster_.holds = std::move(holds);
    index_holds(cluster_);
    return false;
  }

 private:
  Hold& hold(std::size_t mark) { return mark < kHoldsMax ? cluster_.holds[mark] : fresh_[mark - kHoldsMax]; }
  bool is_in_order(std::size_t mark) const { return std::ranges::find(order_, mark) != order_.end(); }
  void mark_nodes(const Nodes& nodes, std::size_t mark) {
    for (const NodeId& node : nodes) {
      const std::size_t number = *cluster_.index.places.find(node);
      const std::int32_t before = cluster_.index.places[number].kept_for;
      if (before >= 0 && !is_in_order(static_cast<std::size_t>(before)))
        is_broken_[static_cast<std::size_t>(before)] = true;
      cluster_.index.places.keep(number, static_cast<std::int32_t>(mark));
    }
  }

  Cluster& cluster_;
  const Instant now_;
  std::vector<std::size_t> order_;  // marks, by whose turn comes first
  std::vector<Hold> fresh_;
  std::array<bool, 2 * kHoldsMax> is_broken_{};  // of before, and a new one has a node of it
  std::size_t searches_ = 0;
  bool has_changed_ = false;
};

// What was tried in vain in the decision before need not be tried again while the same nodes are kept for others as then, or
// more, and of the nodes that have more free since not enough would do: each shape's Failure says so. That saves
// time and changes nothing.
class Decision {
 public:
  explicit Decision(Step& step)
      : step_(step),
        cluster_(step.cluster),
        turns_(step.cluster, step.at.now),
        holding_(step.cluster, step.at.now),
        index_(step.cluster.index),
        has_failed_(step.cluster.index.groups.numbers_end(), false) {
    if (index_.has_new_nodes) ++index_.decisions;
    ++index_.decisions;
  }

  void run() {
    for (Turns::Group group = turns_.next(); group.key != nullptr; group = turns_.next()) {
      if (const auto stage = place_first(group)) {
        turns_.started(*stage);
        continue;
      }
      turns_.drop();
      ++passed_over_;
      if (tried_in_vain_ >= kTriedInVainMax || passed_over_ >= kPassedOverMax) break;
      // There is nothing else to be tried.
      if (holding_.is_full() && tried_in_vain_ >= index_.groups.numbers_end()) break;
    }
    if (!holding_.settle()) ++index_.decisions;
    index_.has_new_nodes = false;
    index_.freed.clear();
  }

 private:
  // The stage of the group's first job, which has started; none: the job, and so all of the group, has to wait. What fails
  // once fails for the rest of the decision: room only gets less, and more of it is kept.
  std::optional<std::string> place_first(const Turns::Group& group) {
    if (has_failed_[group.shape] && holding_.is_full()) return std::nullopt;
    const bool has_quota = group.tenant != nullptr && group.tenant->quota != Usage();
    if (!has_quota && holding_.is_full() && fails_still(group.shape)) return std::nullopt;
    const JobKey key{group.first().graph, group.first().job};
    const Job& job = *find_job(cluster_, key);
    const Request& request = job.request.resources;
    const std::uint32_t allowed =
        has_quota ? nodes_within_quota(cluster_, group.key->first, request) : request.nodes;
    if (allowed < request.fewest_nodes()) return std::nullopt;
    const Wanted wanted{request, allowed, key.graph};
    if (!has_failed_[group.shape] && !fails_still(group.shape)) {
      if (const auto nodes = find(job, wanted, group.shape)) {
        std::string stage = job.launch.stage_key;
        start_attempt(step_, key, *nodes);
        return stage;
      }
    }
    if (!holding_.is_full()) keep_nodes(key, wanted, group.key->second);
    return std::nullopt;
  }

  void fails(std::uint32_t shape, std::uint32_t fitting, std::size_t holds) {
    index_.groups.failure(shape) = {index_.decisions, fitting, holds};
    has_failed_[shape] = true;
    ++tried_in_vain_;
  }

  // As it did before, and nothing has changed that could help it.
  bool fails_still(std::uint32_t shape) {
    const Failure before = index_.groups.failure(shape);
    if (before.decision + 1 != index_.decisions || before.holds > holding_.as_before()) return false;
    const Need& need = index_.groups.need(shape);
    std::uint32_t fitting = before.fitting;
    for (const std::size_t number : index_.freed) {
      const Room& free = index_.places[number].free;
      if (need.part.cpus <= free.cpus && need.part.gpus <= free.gpus &&
          need.part.memory_bytes <= free.memory_bytes)
        ++fitting;
    }
    if (fitting >= need.nodes) return false;
    fails(shape, fitting, before.holds);
    return true;
  }

  // Elsewhere than where it was lost before, if that is possible now.
  std::optional<std::vector<NodeId>> find(const Job& job, const Wanted& wanted, std::uint32_t shape) {
    Closed closed = holding_.closed_to(job.request.time_limit, job.request.grace);
    if (!job.suspects.empty()) {
      closed.others = &job.suspects;
      if (auto nodes = find_nodes(cluster_, wanted, closed)) return nodes;
      closed.others = nullptr;
    }
    std::uint32_t would_do = 0;
    auto nodes = find_nodes(cluster_, wanted, closed, &would_do);
    if (!nodes) fails(shape, would_do, holding_.size());
    return nodes;
  }

  void keep_nodes(const JobKey& key, const Wanted& wanted, std::int64_t priority) {
    Hold* const hold = holding_.keep(key, wanted);
    if (hold == nullptr || is_clearing(cluster_, *hold, step_.at.now)) return;
    hold->looked_at = step_.at.now;
    auto clearing = find_clearing(cluster_, priority, wanted, holding_.before_newest());
    if (!clearing) return;
    holding_.move_newest(std::move(clearing->nodes));
    hold->from = kNever;
    hold->victims = std::move(clearing->victims);
    for (const Fence fence : hold->victims)
      preempt_attempt(step_, fence, "makes room for " + shown(key) + ", whose priority is higher");
  }

  Step& step_;
  Cluster& cluster_;
  Turns turns_;
  Holding holding_;
  Index& index_;
  std::vector<bool> has_failed_;  // by the number of the shape
  std::size_t tried_in_vain_ = 0;
  std::size_t passed_over_ = 0;
};

}  // namespace

void place_queued(Step& step) {
  Cluster& cluster = step.cluster;
  cluster.is_placement_due = false;
  if (cluster.rules >= 3 && (!cluster.queue.empty() || !cluster.holds.empty())) {
    Decision(step).run();
  } else {
    if (cluster.rules == 1) place_queued_by_rules_1(step);
    if (cluster.rules == 2) place_queued_by_rules_2(step);
    cluster.index.decisions += 2;  // what is remembered of the last one no longer holds
    cluster.index.freed.clear();
  }
  PADDOCK_CHECK(cluster.rules < 2 || !cluster.is_placement_due, cluster.next_fence);
}

}  // namespace paddock::scheduler
