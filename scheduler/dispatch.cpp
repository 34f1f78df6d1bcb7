#include "scheduler/dispatch.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
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
#include "scheduler/reservation.h"
#include "scheduler/rules_1.h"
#include "scheduler/rules_2.h"
#include "scheduler/sentence.h"

namespace paddock::scheduler {
namespace {

bool have_one_in_common(const Nodes& some, const Nodes& others) {
  return std::ranges::any_of(others, [&](const NodeId& node) { return some.contains(node); });
}

// The nodes that are kept, as a decision goes: none at first, then, job by job, those that were kept before if they
// are still good, or others. Each hold has a mark at its nodes in the index, so whether a node is closed to a job costs
// nothing: below kHoldsMax those of before, by their position, from there on new ones.
// A job for which nodes are kept keeps its seat among the kHoldsMax until its turn has come, unless the turn of one of higher
// priority comes before: else, as shares of tenants go up and down, each decision would keep other nodes and ask others to go.
class Holding {
 public:
  Holding(Cluster& cluster, Instant now) : cluster_(cluster), now_(now) {
    fresh_.reserve(kHoldsMax);
    if (cluster.rules < 4) return;
    for (std::size_t mark = 0; mark < cluster.holds.size(); ++mark) {
      const JobKey& key = cluster.holds[mark].job;
      const Job* job = find_job(cluster, key);
      if (job == nullptr || job->state != JobState::kQueued) continue;
      seats_[mark] = risen_priority(cluster, class_of(*find_graph(cluster, key.graph)), now);
    }
  }

  bool is_full() const { return order_.size() == kHoldsMax; }
  std::size_t size() const { return order_.size(); }
  // So far all are, and in the same order, as after the decision before.
  bool is_as_before() const { return !has_changed_; }
  // So many are kept as they were after the decision before, the first of them.
  std::size_t as_before() const {
    std::size_t count = 0;
    while (count < cluster_.holds.size() && is_in_order(count) && !is_moved_[count]) ++count;
    return count;
  }

  // Whether nodes could be kept for a job of that risen priority, if there are any.
  bool has_seat(const Queued& job, std::int64_t risen) const {
    std::size_t seats = order_.size();
    for (std::size_t mark = 0; mark < cluster_.holds.size(); ++mark) {
      if (!seats_[mark]) continue;
      const JobKey& key = cluster_.holds[mark].job;
      if (key.graph == job.graph && key.job == job.job) return true;
      seats += *seats_[mark] >= risen ? 1 : 0;
    }
    return seats < kHoldsMax;
  }
  // Its turn has come.
  void give_up_seat(const JobKey& key) {
    for (std::size_t mark = 0; mark < cluster_.holds.size(); ++mark)
      if (cluster_.holds[mark].job == key) seats_[mark].reset();
  }

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

  // The hold of the job, kept from before or new, without nodes of `reserved`; nullptr: none is to be had.
  Hold* keep(const JobKey& key, const Wanted& wanted, const Nodes& reserved, Failure& failure) {
    const Hold* lost = nullptr;
    for (std::size_t mark = 0; mark < cluster_.holds.size(); ++mark) {
      Hold& before = cluster_.holds[mark];
      if (before.job != key) continue;
      lost = &before;
      if (before.from < now_ || is_broken_[mark] || !is_good_still(cluster_, before, wanted) ||
          have_one_in_common(before.nodes, reserved))
        continue;
      has_changed_ = has_changed_ || mark != order_.size();
      order_.push_back(mark);
      return &before;
    }
    if (searches_ == kSearchesMax || failure.too_large_in == cluster_.index.nodes_state) return nullptr;
    ++searches_;
    Closed closed = all();
    closed.others = reserved.empty() ? nullptr : &reserved;
    auto found = new_hold(cluster_, key, wanted, closed, now_);
    if (!found) {
      if (cluster_.rules < 4 || !is_too_large(cluster_, wanted.request)) return nullptr;
      --searches_;
      failure.too_large_in = cluster_.index.nodes_state;
      return nullptr;
    }
    if (lost != nullptr && cluster_.rules >= 4) {  // who was asked to go for it still goes
      found->looked_at = lost->looked_at;
      found->victims = lost->victims;
    }
    has_changed_ = true;
    fresh_.push_back(*std::move(found));
    mark_nodes(fresh_.back().nodes, kHoldsMax + fresh_.size() - 1);
    order_.push_back(kHoldsMax + fresh_.size() - 1);
    return &fresh_.back();
  }

  // By whose turn comes first; nullptr: none is such.
  template <typename Test>
  const Hold* first_that(const Test& is_such) {
    for (const std::size_t mark : order_)
      if (is_such(hold(mark))) return &hold(mark);
    return nullptr;
  }

  // The newest hold is on other nodes now.
  void move_newest(Nodes nodes) {
    has_changed_ = true;
    is_moved_[order_.back()] = true;
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

  void settle() {
    if (!has_changed_ && order_.size() == cluster_.holds.size()) return;
    std::vector<Hold> holds;
    for (const std::size_t mark : order_) holds.push_back(std::move(hold(mark)));
    cluster_.holds = std::move(holds);
    index_holds(cluster_);
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
  std::array<bool, 2 * kHoldsMax> is_moved_{};   // it is on other nodes than before
  // Of before, whose job's turn has not come yet: its risen priority.
  std::array<std::optional<std::int64_t>, kHoldsMax> seats_{};
  std::size_t searches_ = 0;
  bool has_changed_ = false;
};

// What was tried in vain in the decision before need not be tried again while the same nodes are kept for others as then, or
// more, and of the nodes that have more free since not enough would do: each shape's Failure says so. That saves
// time and changes nothing.
// Where nodes are reserved for some tenants, what fails for one to whom all are open fails for all; what fails for another is
// remembered for those alone to whom the same are closed.
class Decision {
 public:
  explicit Decision(Step& step)
      : step_(step),
        cluster_(step.cluster),
        is_reserved_(!step.cluster.reservations.empty()),
        remembers_(!is_reserved_ || step.cluster.rules >= 4),
        turns_(step.cluster, step.at.now),
        holding_(step.cluster, step.at.now),
        index_(step.cluster.index),
        has_failed_(step.cluster.index.groups.numbers_end(), false) {
    if (index_.has_new_nodes) {
      ++index_.decisions;
      ++index_.nodes_state;
    }
    ++index_.decisions;
  }

  void run() {
    for (Turns::Group group = turns_.next(); group.key != nullptr; group = turns_.next()) {
      const JobKey key{group.first().graph, group.first().job};
      if (const auto stage = place_first(group, key)) {
        turns_.started(*stage);
        holding_.give_up_seat(key);
        continue;
      }
      turns_.drop();
      holding_.give_up_seat(key);
      ++passed_over_;
      if (tried_in_vain_ >= kTriedInVainMax || passed_over_ >= kPassedOverMax) break;
      // There is nothing else to be tried.
      if (holding_.is_full() && shapes_failed_ >= index_.groups.numbers_end()) break;
    }
    holding_.settle();
    index_.has_new_nodes = false;
    index_.freed.clear();
  }

 private:
  // The stage of the group's first job, which has started; none: the job, and so all of the group, has to wait. What fails
  // once fails for the rest of the decision: room only gets less, and more of it is kept.
  std::optional<std::string> place_first(const Turns::Group& group, const JobKey& key) {
    const auto may_keep = [&] {
      return !holding_.is_full() && (cluster_.rules < 4 || holding_.has_seat(group.first(), turns_.risen()));
    };
    if (has_failed_[group.shape] && !may_keep()) return std::nullopt;
    const bool has_quota = group.tenant != nullptr && group.tenant->quota != Usage();
    if (!has_quota && fails_still(group.shape) && !may_keep()) return std::nullopt;
    const Job& job = *find_job(cluster_, key);
    const Request& request = job.request.resources;
    const std::uint32_t allowed =
        has_quota ? nodes_within_quota(cluster_, group.key->first, request) : request.nodes;
    if (allowed < request.fewest_nodes()) return std::nullopt;
    const Wanted wanted{request, allowed, key.graph};
    const Nodes& reserved = reserved_for(group.key->first, job.request);
    if (!has_failed_[group.shape] && !fails_still(group.shape)) {
      if (const auto nodes = find(job, wanted, group.shape, reserved)) {
        std::string stage = job.launch.stage_key;
        start_attempt(step_, key, *nodes, reason_of(key, job, *nodes));
        return stage;
      }
    }
    if (may_keep()) keep_nodes(key, wanted, *group.key, group.shape, reserved);
    return std::nullopt;
  }

  // Nodes that others have reserved while the job might run.
  const Nodes& reserved_for(const std::string& tenant, const JobRequest& job) {
    static const Nodes kNone;
    if (!is_reserved_) return kNone;
    const Millis longest = job.time_limit > Millis(0) ? job.time_limit + job.grace : Millis(0);
    const auto [known, is_new] = reserved_.try_emplace({tenant, longest});
    if (is_new) known->second = reserved_for_others(cluster_, tenant, job, step_.at.wall);
    return known->second;
  }

  void fails(std::uint32_t shape, std::uint32_t fitting, std::size_t holds) {
    ++tried_in_vain_;
    if (!remembers_) return;
    index_.groups.failure(shape).decision = index_.decisions;
    index_.groups.failure(shape).fitting = fitting;
    index_.groups.failure(shape).holds = holds;
    has_failed_[shape] = true;
    ++shapes_failed_;
  }

  // As it did before, and nothing has changed that could help it.
  bool fails_still(std::uint32_t shape) {
    if (has_failed_[shape]) return true;
    const Failure before = index_.groups.failure(shape);
    if (!remembers_ || before.decision + 1 != index_.decisions || before.holds > holding_.as_before())
      return false;
    const Need& need = index_.groups.need(shape);
    std::uint32_t fitting = before.fitting;
    for (const std::size_t number : index_.freed) {
      const Room& free = index_.places[number].free;
      if (need.part.cpus <= free.cpus && need.part.gpus <= free.gpus &&
          need.part.memory_bytes <= free.memory_bytes)
        ++fitting;
      if (fitting >= need.nodes) return false;
    }
    if (fitting >= need.nodes) return false;
    ++index_.spared;
    fails(shape, fitting, holding_.is_as_before() ? before.holds : holding_.size());
    return true;
  }

  // Elsewhere than where it was lost before, if that is possible now.
  std::optional<std::vector<NodeId>> find(const Job& job, const Wanted& wanted, std::uint32_t shape,
                                          const Nodes& reserved) {
    Closed closed = holding_.closed_to(job.request.time_limit, job.request.grace);
    if (!job.suspects.empty()) {
      Nodes shunned = reserved;
      shunned.insert(job.suspects.begin(), job.suspects.end());
      closed.others = &shunned;
      if (auto nodes = find_nodes(cluster_, wanted, closed)) return nodes;
    }
    if (remembers_ && !reserved.empty() && fails_with_.contains({shape, &reserved})) return std::nullopt;
    closed.others = reserved.empty() ? nullptr : &reserved;
    std::uint32_t would_do = 0;
    auto nodes = find_nodes(cluster_, wanted, closed, &would_do);
    if (nodes) return nodes;
    if (remembers_ && !reserved.empty()) {
      ++tried_in_vain_;
      fails_with_.insert({shape, &reserved});
    } else {
      fails(shape, would_do, holding_.size());
    }
    return std::nullopt;
  }

  StartReason reason_of(const JobKey& key, const Job& job, const std::vector<NodeId>& nodes) {
    StartReason reason = turns_.lead();
    const auto share_nodes = [&](const Hold& hold) {
      return std::ranges::any_of(nodes, [&](const NodeId& node) { return hold.nodes.contains(node); });
    };
    const Hold* own = find_hold(cluster_, key);
    reason.were_kept = own != nullptr && share_nodes(*own);
    reason.is_elsewhere = !job.suspects.empty() && std::ranges::none_of(nodes, [&](const NodeId& node) {
      return job.suspects.contains(node);
    });
    if (holding_.size() == 0) return reason;
    const Hold* shared = holding_.first_that(share_nodes);
    const Hold& ahead = shared == nullptr ? *holding_.first_that([](const Hold&) { return true; }) : *shared;
    reason.is_on_kept_nodes = shared != nullptr;
    reason.ahead_graph = ahead.job.graph;
    reason.ahead_index = find_job(cluster_, ahead.job)->index;
    return reason;
  }

  void keep_nodes(const JobKey& key, const Wanted& wanted, const ClassKey& its, std::uint32_t shape,
                  const Nodes& reserved) {
    Hold* const hold = holding_.keep(key, wanted, reserved, index_.groups.failure(shape));
    if (hold == nullptr || is_clearing(cluster_, *hold, step_.at.now)) return;
    hold->looked_at = step_.at.now;
    Closed closed = holding_.before_newest();
    closed.others = reserved.empty() ? nullptr : &reserved;
    auto clearing = find_clearing(cluster_, its.second, wanted, closed);
    if (!clearing) return;
    holding_.move_newest(std::move(clearing->nodes));
    hold->from = kNever;
    hold->victims = std::move(clearing->victims);
    for (const Fence fence : hold->victims)
      preempt_attempt(step_, fence, "makes room for " + shown(key) + ", whose priority is higher");
  }

  Step& step_;
  Cluster& cluster_;
  const bool is_reserved_;
  const bool remembers_;
  Turns turns_;
  Holding holding_;
  Index& index_;
  std::vector<bool> has_failed_;                                 // by the number of the shape
  std::map<std::pair<std::string, Millis>, Nodes> reserved_;     // by tenant and how long the job may run
  std::set<std::pair<std::uint32_t, const Nodes*>> fails_with_;  // a shape, where those are closed besides
  std::size_t shapes_failed_ = 0;
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
