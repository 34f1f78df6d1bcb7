#include "scheduler/priority.h"

#include <algorithm>
#include <iterator>

#include "scheduler/fair_share.h"

namespace paddock::scheduler {

std::int64_t risen_priority(const Cluster& cluster, const ClassKey& key, Instant now) {
  const auto since = cluster.waits.find(key);
  const Millis waited = since == cluster.waits.end() ? Millis(0) : now - since->second;
  return key.second + std::max<std::int64_t>(0, waited / kAgePoint);
}

void note_waiting(Cluster& cluster, const std::string& tenant, std::int64_t priority, Instant now) {
  // Jobs that wait for others to do the same work are in no group, and wait for nothing else.
  if (cluster.index.groups.has({tenant, priority})) cluster.waits.emplace(std::pair(tenant, priority), now);
}

void note_start(Cluster& cluster, const std::string& tenant, std::int64_t priority, Instant now) {
  const auto waits = cluster.waits.find({tenant, priority});
  if (waits == cluster.waits.end()) return;
  waits->second = now;
}

void note_left(Cluster& cluster, const std::string& tenant, std::int64_t priority) {
  if (!cluster.index.groups.has({tenant, priority})) cluster.waits.erase({tenant, priority});
}

Turns::Turns(Cluster& cluster, Instant now) : cluster_(cluster), now_(now) {
  cluster.index.groups.keep_empty(true);
  const auto& classes = cluster.index.groups.classes();
  standings_.reserve(classes.size());
  for (const auto& [key, groups] : classes) {
    const auto tenant = cluster.tenants.find(key.first);
    standings_.push_back({-risen_priority(cluster, key, now),
                          &key,
                          &groups,
                          tenant == cluster.tenants.end() ? nullptr : &tenant->second,
                          groups.order.begin(),
                          {},
                          {}});
    has_tenants_ = has_tenants_ || key.first != classes.begin()->first.first;
  }
  std::ranges::stable_sort(standings_, {}, &Standing::minus_risen);
}

Turns::~Turns() {
  cluster_.index.groups.keep_empty(false);
}

std::int64_t Turns::score(const Standing& standing) const {
  return has_tenants_ ? score_of(cluster_, standing.key->first, now_) : 0;
}

void Turns::look_again(Standing& standing) const {
  standing.at = standing.groups->order.lower_bound(standing.from);
  skip_dropped(standing);
}

StartReason Turns::lead() const {
  const Turn& first = *turns_.begin();
  const Standing& its = standings_[first.standing];
  StartReason reason;
  reason.priority = -its.minus_risen;
  reason.has_passed_others = has_dropped_;
  const auto second = std::next(turns_.begin());
  const bool is_risen = reason.priority > its.key->second;
  if (second != turns_.end()) {
    const Standing& other = standings_[second->standing];
    if (first.score != second->score)
      reason.lead = Lead::kFairShare;
    else
      reason.lead = its.key->first == other.key->first ? Lead::kOrder : Lead::kOrderOfTenants;
  } else if (std::next(its.at) != its.groups->order.end() || its.groups->jobs.at(its.at->second).size() > 1) {
    reason.lead = Lead::kOrder;
  } else if (std::any_of(standings_.begin() + static_cast<std::ptrdiff_t>(next_in_), standings_.end(),
                         [](const Standing& rest) { return !rest.groups->jobs.empty(); })) {
    reason.lead = is_risen ? Lead::kRisen : Lead::kPriority;
  } else {
    reason.lead = Lead::kAlone;
  }
  return reason;
}

void Turns::skip_dropped(Standing& standing) const {
  // One whose first job began to wait for other work stands elsewhere now.
  while (may_come_back_ && standing.at != standing.groups->order.end() &&
         std::ranges::find(standing.dropped, standing.at->second) != standing.dropped.end())
    ++standing.at;
}

void Turns::enter(std::size_t standing, std::int64_t score) {
  const Standing& entered = standings_[standing];
  if (entered.at == entered.groups->order.end()) return;
  if (entered.dropped.size() < kGroupsInVainMax)
    turns_.insert({score, entered.at->first, standing});
  else
    has_left_out_ = true;
}

void Turns::let_in() {
  while (turns_.empty() && next_in_ < standings_.size()) {
    const std::int64_t minus_risen = standings_[next_in_].minus_risen;
    for (; next_in_ < standings_.size() && standings_[next_in_].minus_risen == minus_risen; ++next_in_)
      enter(next_in_, score(standings_[next_in_]));
  }
}

Turns::Group Turns::next() {
  for (let_in(); !turns_.empty(); let_in()) {
    const Turn turn = *turns_.begin();
    const Standing& standing = standings_[turn.standing];
    if (standing.at != standing.groups->order.end() && standing.at->first == turn.first)
      return {standing.key, standing.tenant, standing.at->second, standing.groups};
    // Its first job has begun to wait for one that does the same work.
    turns_.erase(turns_.begin());
    enter(turn.standing, turn.score);
  }
  return {};
}

void Turns::drop() {
  const Turn turn = *turns_.begin();
  turns_.erase(turns_.begin());
  has_dropped_ = true;
  Standing& standing = standings_[turn.standing];
  standing.dropped.push_back(standing.at->second);
  standing.from = {turn.first.first, turn.first.second + 1};
  ++standing.at;
  skip_dropped(standing);
  enter(turn.standing, turn.score);
}

void Turns::started(const std::string& stage) {
  Standing& its = standings_[turns_.begin()->standing];
  look_again(its);
  if (cluster_.index.same_stage.contains(stage)) {
    may_come_back_ = true;
    for (Standing& standing : standings_) look_again(standing);
  }
  const std::string& tenant = its.key->first;
  const std::int64_t now = score(its);
  std::vector<std::size_t> again;
  std::erase_if(turns_, [&](const Turn& turn) {
    const bool is_its = standings_[turn.standing].key->first == tenant;
    if (is_its) again.push_back(turn.standing);
    return is_its;
  });
  for (const std::size_t standing : again) enter(standing, now);
}

}  // namespace paddock::scheduler
