#include "scheduler/dispatch.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/check.h"
#include "scheduler/attempt.h"
#include "scheduler/backfill.h"
#include "scheduler/holding.h"
#include "scheduler/placement.h"
#include "scheduler/preemption.h"
#include "scheduler/priority.h"
#include "scheduler/quota.h"
#include "scheduler/reservation.h"
#include "scheduler/rest.h"
#include "scheduler/rules_1.h"
#include "scheduler/rules_2.h"
#include "scheduler/sentence.h"

namespace paddock::scheduler {
namespace {

// So many times a decision looks for attempts that make room for one job, where what they leave is reserved by then.
constexpr int kClearingSearchesMax = 3;

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
        holding_(step.cluster, step.at),
        index_(step.cluster.index),
        has_failed_(step.cluster.index.groups.numbers_end(), false),
        is_counted_(has_failed_) {
    if (index_.has_new_nodes) {
      ++index_.decisions;
      ++index_.nodes_state;
    }
    ++index_.decisions;
  }

  // `has_changed`: something may let a queued job run that was looked at before.
  void run(bool has_changed) {
    const bool is_all = take_turns();
    if (is_all || cluster_.rules < 5)
      cluster_.rest.reset();
    else
      look_at_rest(has_changed);
    holding_.settle();
    index_.has_new_nodes = false;
    index_.freed.clear();
  }

 private:
  // False: some have not been looked at.
  bool take_turns() {
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
      // There is nothing else to be tried. Where nodes are reserved, what fails depends on who asks, and how much of that was
      // remembered must not decide how far this goes.
      const bool is_told_by_shapes = cluster_.rules < 5 || !is_reserved_;
      if (is_told_by_shapes && holding_.is_full() && shapes_failed_ >= index_.groups.shapes()) return true;
      if (tried_in_vain_ >= kTriedInVainMax || passed_over_ >= kPassedOverMax) return false;
    }
    return !turns_.has_left_out();
  }

  // From where the decision before left off. No nodes are kept for these: their turn has not come.
  void look_at_rest(bool has_changed) {
    is_in_rest_ = true;
    Rest rest = cluster_.rest.value_or(Rest());
    rest.is_again = cluster_.rest && (rest.is_again || has_changed);
    rest.is_due = false;
    rest.due_at = step_.at.now + kRestPause;
    if (look_through(rest)) {
      if (!rest.is_again) return cluster_.rest.reset();
      rest = Rest{.due_at = rest.due_at};
    }
    cluster_.rest = std::move(rest);
  }

  // True: to the end; else so far as `rest` says then.
  bool look_through(Rest& rest) {
    const auto& classes = index_.groups.classes();
    const std::size_t tried_max = tried_in_vain_ + kRestTriedMax;
    std::size_t passed = 0;
    for (auto its = class_from(classes, rest.key); its != classes.end();
         its = class_from(classes, {its->first.first, its->first.second - 1})) {
      if (its->first != rest.key) rest.from = {};
      rest.key = its->first;
      const auto tenant = cluster_.tenants.find(rest.key.first);
      const auto& order = its->second.order;
      for (auto at = order.lower_bound(rest.from); at != order.end(); at = order.lower_bound(rest.from)) {
        if (tried_in_vain_ >= tried_max || passed >= kRestPassedMax) return false;
        ++passed;
        const Turns::Group group{&its->first, tenant == cluster_.tenants.end() ? nullptr : &tenant->second,
                                 at->second, &its->second};
        rest.from = {at->first.first, at->first.second + 1};
        place_first(group, JobKey{group.first().graph, group.first().job});
      }
    }
    return true;
  }

  // The stage of the group's first job, which has started; none: the job, and so all of the group, has to wait. What fails
  // once fails for the rest of the decision: room only gets less, and more of it is kept.
  std::optional<std::string> place_first(const Turns::Group& group, const JobKey& key) {
    const auto may_keep = [&] {
      return !is_in_rest_ && !holding_.is_full() &&
             (cluster_.rules < 4 || holding_.has_seat(group.first(), turns_.risen()));
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
    if (may_keep()) keep_nodes({key, job, group.key->first, wanted, reserved}, group);
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

  // Once for a shape, whoever asked.
  void count_in_vain(std::uint32_t shape) {
    if (cluster_.rules >= 5 && is_counted_[shape]) return;
    is_counted_[shape] = true;
    ++tried_in_vain_;
  }

  void fails(std::uint32_t shape, std::uint32_t fitting, std::size_t holds) {
    count_in_vain(shape);
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
      count_in_vain(shape);
      fails_with_.insert({shape, &reserved});
    } else {
      fails(shape, would_do, holding_.size());
    }
    return std::nullopt;
  }

  StartReason reason_of(const JobKey& key, const Job& job, const std::vector<NodeId>& nodes) {
    StartReason reason;
    if (is_in_rest_)
      reason.lead = Lead::kFoundInRest;
    else
      reason = turns_.lead();
    const auto share_nodes = [&](const Hold& hold) {
      return std::ranges::any_of(nodes, [&](const NodeId& node) { return hold.nodes.contains(node); });
    };
    const Hold* own = find_hold(cluster_, key);
    reason.were_kept = own != nullptr && std::ranges::all_of(nodes, [&](const NodeId& node) {
                         return own->nodes.contains(node);
                       });
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

  void keep_nodes(const Asking& asking, const Turns::Group& group) {
    Hold* hold = holding_.keep(asking, index_.groups.failure(group.shape));
    const bool is_too_late = hold == nullptr && holding_.is_too_late();  // unless somebody makes room
    if (hold == nullptr ? !is_too_late : is_clearing(cluster_, *hold, step_.at.now)) return;
    if (hold != nullptr) hold->looked_at = step_.at.now;
    auto clearing = clearing_for(asking, group.key->second);
    if (!clearing) return;
    if (hold == nullptr)
      hold = holding_.add({asking.key, std::move(clearing->nodes), kNever, {}, step_.at.now});
    else
      holding_.move_newest(std::move(clearing->nodes));
    hold->from = kNever;
    hold->victims = std::move(clearing->victims);
    for (const Fence fence : hold->victims)
      preempt_attempt(step_, fence, "makes room for " + shown(asking.key) + ", whose priority is higher");
  }

  // Where the job may still run when the victims have gone, which may take them all their grace.
  std::optional<Clearing> clearing_for(const Asking& asking, std::int64_t priority) const {
    Closed closed = holding_.all_but(asking.key);
    closed.others = asking.reserved.empty() ? nullptr : &asking.reserved;
    auto clearing = find_clearing(cluster_, priority, asking.wanted, closed);
    Nodes reserved = asking.reserved;
    for (int searches = 1; clearing; ++searches) {
      const Instant start = last_to_go(clearing->victims);
      if (!holding_.are_reserved_then(asking, start, clearing->nodes)) return clearing;
      if (searches == kClearingSearchesMax) return std::nullopt;
      reserved.merge(holding_.reserved_then(asking, start));
      closed.others = &reserved;
      clearing = find_clearing(cluster_, priority, asking.wanted, closed);
    }
    return clearing;
  }
  Instant last_to_go(const std::set<Fence>& victims) const {
    Millis longest(0);
    for (const Fence fence : victims)
      longest = std::max(longest, find_attempt(std::as_const(cluster_), fence).job->request.grace);
    return step_.at.now + longest;
  }

  Step& step_;
  Cluster& cluster_;
  const bool is_reserved_;
  const bool remembers_;
  Turns turns_;
  Holding holding_;
  Index& index_;
  std::vector<bool> has_failed_;  // by the number of the shape
  std::vector<bool> is_counted_;  // in tried_in_vain_: those that failed for somebody
  std::map<std::pair<std::string, Millis>, Nodes> reserved_;     // by tenant and how long the job may run
  std::set<std::pair<std::uint32_t, const Nodes*>> fails_with_;  // a shape, where those are closed besides
  std::size_t shapes_failed_ = 0;
  std::size_t tried_in_vain_ = 0;
  std::size_t passed_over_ = 0;
  bool is_in_rest_ = false;  // all whose turn comes have been looked at
};

}  // namespace

void place_queued(Step& step) {
  Cluster& cluster = step.cluster;
  const bool has_changed = std::exchange(cluster.is_placement_due, false);
  if (cluster.rules >= 3 && (!cluster.queue.empty() || !cluster.holds.empty())) {
    Decision(step).run(has_changed);
  } else {
    if (cluster.rules == 1) place_queued_by_rules_1(step);
    if (cluster.rules == 2) place_queued_by_rules_2(step);
    cluster.rest.reset();
    cluster.index.decisions += 2;  // what is remembered of the last one no longer holds
    cluster.index.freed.clear();
  }
  PADDOCK_CHECK(cluster.rules < 2 || !cluster.is_placement_due, cluster.next_fence);
}

}  // namespace paddock::scheduler
