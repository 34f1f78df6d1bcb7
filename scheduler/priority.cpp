#include "scheduler/priority.h"

#include <algorithm>
#include <iterator>

#include "scheduler/fair_share.h"

namespace paddock::scheduler {

namespace {

bool has_groups(const Cluster& cluster, const std::string& tenant, std::int64_t priority) {
  const auto& groups = cluster.index.groups;
  auto group = groups.lower_bound(GroupKey{tenant, priority, Millis::min(), {}, {}});
  while (group != groups.end() && group->first.tenant == tenant && group->first.priority == priority) {
    if (!group->second.empty()) return true;
    ++group;
  }
  return false;
}

}  // namespace

std::int64_t risen_priority(const Cluster& cluster, const GroupKey& group, Instant now) {
  const auto since = cluster.waits.find({group.tenant, group.priority});
  const Millis waited = since == cluster.waits.end() ? Millis(0) : now - since->second;
  return group.priority + std::max<std::int64_t>(0, waited / kAgePoint);
}

void note_waiting(Cluster& cluster, const std::string& tenant, std::int64_t priority, Instant now) {
  // Jobs that wait for others to do the same work are in no group, and wait for nothing else.
  if (has_groups(cluster, tenant, priority)) cluster.waits.emplace(std::pair(tenant, priority), now);
}

void note_start(Cluster& cluster, const std::string& tenant, std::int64_t priority, Instant now) {
  const auto waits = cluster.waits.find({tenant, priority});
  if (waits == cluster.waits.end()) return;
  waits->second = now;
}

void note_left(Cluster& cluster, const std::string& tenant, std::int64_t priority) {
  if (!has_groups(cluster, tenant, priority)) cluster.waits.erase({tenant, priority});
}

Turns::Turns(Cluster& cluster, Instant now) : cluster_(cluster), now_(now) {
  cluster.index.keeps_empty_groups = true;
  for (const auto& [key, jobs] : cluster.index.groups) {
    of_tenant_[key.tenant].push_back(groups_.size());
    groups_.push_back({&key, &jobs});
    risen_.push_back(risen_priority(cluster, key, now));
  }
  current_.resize(groups_.size());
  for (const auto& [tenant, groups] : of_tenant_) {
    // A score only tells tenants apart.
    const std::int64_t score = of_tenant_.size() < 2 ? 0 : score_of(cluster, tenant, now);
    for (const std::size_t group : groups) turns_.insert(current_[group] = turn_of(group, score));
  }
}

Turns::~Turns() {
  cluster_.index.keeps_empty_groups = false;
  std::erase_if(cluster_.index.groups, [](const auto& group) { return group.second.empty(); });
}

Turns::Turn Turns::turn_of(std::size_t group, std::int64_t score) const {
  const Queued& first = *groups_[group].jobs->begin();
  return Turn{-risen_[group], score, first.graph, first.index, group};
}

const Turns::Group* Turns::next() {
  // Starting one job may leave others waiting for it: they do the same work, and their group may be empty.
  while (!turns_.empty() && groups_[turns_.begin()->group].jobs->empty()) drop();
  return turns_.empty() ? nullptr : &groups_[turns_.begin()->group];
}

StartReason Turns::lead() const {
  const Turn& first = *turns_.begin();
  const GroupKey& group = *groups_[first.group].key;
  StartReason reason;
  reason.priority = -first.minus_priority;
  auto second = std::next(turns_.begin());
  while (second != turns_.end() && groups_[second->group].jobs->empty()) ++second;
  if (second == turns_.end())
    reason.lead = groups_[first.group].jobs->size() == 1 ? Lead::kAlone : Lead::kOrder;
  else if (first.minus_priority != second->minus_priority)
    reason.lead = reason.priority > group.priority ? Lead::kRisen : Lead::kPriority;
  else if (first.score != second->score)
    reason.lead = Lead::kFairShare;
  else
    reason.lead = group.tenant == groups_[second->group].key->tenant ? Lead::kOrder : Lead::kOrderOfTenants;
  return reason;
}

void Turns::drop() {
  turns_.erase(turns_.begin());
}

void Turns::started() {
  const std::string& tenant = groups_[turns_.begin()->group].key->tenant;
  const std::int64_t score = of_tenant_.size() < 2 ? 0 : score_of(cluster_, tenant, now_);
  for (const std::size_t group : of_tenant_.at(tenant)) {
    const auto turn = turns_.find(current_[group]);
    if (turn == turns_.end()) continue;  // dropped
    turns_.erase(turn);
    if (!groups_[group].jobs->empty()) turns_.insert(current_[group] = turn_of(group, score));
  }
}

}  // namespace paddock::scheduler
