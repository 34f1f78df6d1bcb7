#include "scheduler/holding.h"

#include <algorithm>
#include <utility>

#include "scheduler/preemption.h"
#include "scheduler/priority.h"
#include "scheduler/reservation.h"

namespace paddock::scheduler {
namespace {

bool have_one_in_common(const Nodes& some, const Nodes& others) {
  return std::ranges::any_of(others, [&](const NodeId& node) { return some.contains(node); });
}

}  // namespace

Holding::Holding(Cluster& cluster, Moment at) : cluster_(cluster), at_(at) {
  fresh_.reserve(kHoldsMax);
  if (cluster.rules < 4) return;
  for (std::size_t mark = 0; mark < cluster.holds.size(); ++mark) {
    const JobKey& key = cluster.holds[mark].job;
    const Job* job = find_job(cluster, key);
    if (job == nullptr || job->state != JobState::kQueued) continue;
    seats_[mark] = risen_priority(cluster, class_of(*find_graph(cluster, key.graph)), at.now);
  }
}

std::size_t Holding::as_before() const {
  std::size_t count = 0;
  while (count < cluster_.holds.size() && is_in_order(count) && !is_moved_[count]) ++count;
  return count;
}

bool Holding::has_seat(const Queued& job, std::int64_t risen) const {
  std::size_t seats = order_.size();
  for (std::size_t mark = 0; mark < cluster_.holds.size(); ++mark) {
    if (!seats_[mark]) continue;
    const JobKey& key = cluster_.holds[mark].job;
    if (key.graph == job.graph && key.job == job.job) return true;
    seats += *seats_[mark] >= risen ? 1 : 0;
  }
  return seats < kHoldsMax;
}

void Holding::give_up_seat(const JobKey& key) {
  for (std::size_t mark = 0; mark < cluster_.holds.size(); ++mark)
    if (cluster_.holds[mark].job == key) seats_[mark].reset();
}

Closed Holding::closed_to(Millis time_limit, Millis grace) {
  Closed closed;
  for (const std::size_t mark : order_)
    closed.holds[mark] = !ends_before(hold(mark), time_limit, grace, at_.now);
  return closed;
}

Closed Holding::all() const {
  Closed closed;
  for (const std::size_t mark : order_) closed.holds[mark] = true;
  return closed;
}

Closed Holding::all_but(const JobKey& key) const {
  Closed closed;
  for (const std::size_t mark : order_) closed.holds[mark] = hold(mark).job != key;
  return closed;
}

bool Holding::are_reserved_then(const Asking& asking, Instant start, const Nodes& nodes) const {
  if (cluster_.rules < 5 || start == kNever || cluster_.reservations.empty()) return false;
  return are_reserved_at(cluster_, asking.tenant, asking.job.request, wall_at(start), nodes);
}

Nodes Holding::reserved_then(const Asking& asking, Instant start) const {
  return reserved_at(cluster_, asking.tenant, asking.job.request, wall_at(start));
}

Hold* Holding::keep(const Asking& asking, Failure& failure) {
  const Hold* lost = nullptr;
  for (std::size_t mark = 0; mark < cluster_.holds.size(); ++mark) {
    Hold& before = cluster_.holds[mark];
    if (before.job != asking.key) continue;
    lost = &before;
    if (before.from < at_.now || is_broken_[mark] || !is_good_still(cluster_, before, asking.wanted) ||
        have_one_in_common(before.nodes, asking.reserved) ||
        are_reserved_then(asking, before.from, before.nodes))
      continue;
    has_changed_ = has_changed_ || mark != order_.size();
    order_.push_back(mark);
    return &before;
  }
  is_too_late_ = false;
  if (searches_ >= kSearchesMax || failure.too_large_in == cluster_.index.nodes_state) return nullptr;
  auto found = search(asking);
  if (!found) {
    is_too_late_ = is_too_late_ && (lost == nullptr || !is_clearing(cluster_, *lost, at_.now));
    if (cluster_.rules < 4 || !is_too_large(cluster_, asking.wanted.request)) return nullptr;
    --searches_;
    failure.too_large_in = cluster_.index.nodes_state;
    return nullptr;
  }
  if (lost != nullptr && cluster_.rules >= 4) {  // who was asked to go for it still goes
    found->looked_at = lost->looked_at;
    found->victims = lost->victims;
  }
  return add(*std::move(found));
}

Hold* Holding::add(Hold fresh) {
  has_changed_ = true;
  fresh_.push_back(std::move(fresh));
  mark_nodes(fresh_.back().nodes, kHoldsMax + fresh_.size() - 1);
  order_.push_back(kHoldsMax + fresh_.size() - 1);
  return &fresh_.back();
}

// Those that have room soonest, without those that are reserved once they have it.
std::optional<Hold> Holding::search(const Asking& asking) {
  Closed closed = all();
  closed.others = asking.reserved.empty() ? nullptr : &asking.reserved;
  Nodes reserved;
  for (int tried = 0; tried < kSearchesOfAJobMax && searches_ < kSearchesMax; ++tried) {
    ++searches_;
    auto found = new_hold(cluster_, asking.key, asking.wanted, closed, at_.now);
    if (!found || !are_reserved_then(asking, found->from, found->nodes)) return found;
    is_too_late_ = true;
    if (reserved.empty()) reserved = asking.reserved;
    reserved.merge(reserved_then(asking, found->from));
    closed.others = &reserved;
  }
  return std::nullopt;
}

void Holding::move_newest(Nodes nodes) {
  has_changed_ = true;
  is_moved_[order_.back()] = true;
  Hold& newest = hold(order_.back());
  for (const NodeId& node : newest.nodes) cluster_.index.places.keep(*cluster_.index.places.find(node), -1);
  newest.nodes = std::move(nodes);
  mark_nodes(newest.nodes, order_.back());
}

void Holding::settle() {
  if (!has_changed_ && order_.size() == cluster_.holds.size()) return;
  std::vector<Hold> holds;
  for (const std::size_t mark : order_) holds.push_back(std::move(hold(mark)));
  cluster_.holds = std::move(holds);
  index_holds(cluster_);
}

bool Holding::is_in_order(std::size_t mark) const {
  return std::ranges::find(order_, mark) != order_.end();
}

void Holding::mark_nodes(const Nodes& nodes, std::size_t mark) {
  for (const NodeId& node : nodes) {
    const std::size_t number = *cluster_.index.places.find(node);
    const std::int32_t before = cluster_.index.places[number].kept_for;
    if (before >= 0 && !is_in_order(static_cast<std::size_t>(before)))
      is_broken_[static_cast<std::size_t>(before)] = true;
    cluster_.index.places.keep(number, static_cast<std::int32_t>(mark));
  }
}

}  // namespace paddock::scheduler
