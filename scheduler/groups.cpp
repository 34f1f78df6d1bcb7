#include "scheduler/groups.h"

#include <algorithm>

namespace paddock::scheduler {
namespace {

Groups::First first_of(const std::set<Queued>& jobs) {
  return {jobs.begin()->graph, jobs.begin()->index};
}

}  // namespace

void Groups::insert(const ClassKey& key, const Shape& shape, const Queued& queued) {
  Class& entered = classes_[key];
  const auto [known, is_new] = shapes_.try_emplace(shape);
  Numbered& numbered = known->second;
  if (is_new) numbered.number = new_number(shape.request);
  std::set<Queued>& jobs = entered.jobs[numbered.number];
  if (jobs.empty()) {
    ++numbered.groups;
  } else {
    entered.order.erase(first_of(jobs));
  }
  jobs.insert(queued);
  entered.order[first_of(jobs)] = numbered.number;
}

std::uint32_t Groups::new_number(const Request& request) {
  std::uint32_t number = numbers_end_;
  if (unused_.empty()) {
    needs_.resize(++numbers_end_);
    failures_.resize(numbers_end_);
  } else {
    number = unused_.back();
    unused_.pop_back();
  }
  needs_[number] = {{request.cpus_per_node(), request.memory_bytes_per_node(), request.gpus_per_node(), 0},
                    request.fewest_nodes()};
  failures_[number] = {};
  return number;
}

void Groups::erase(const ClassKey& key, const Shape& shape, const Queued& queued) {
  const auto left = classes_.find(key);
  const auto known = shapes_.find(shape);
  if (left == classes_.end() || known == shapes_.end()) return;
  const auto group = left->second.jobs.find(known->second.number);
  if (group == left->second.jobs.end() || !group->second.contains(queued)) return;
  left->second.order.erase(first_of(group->second));
  group->second.erase(queued);
  if (!group->second.empty()) {
    left->second.order[first_of(group->second)] = known->second.number;
    return;
  }
  left->second.jobs.erase(group);
  if (left->second.jobs.empty() && !keeps_empty_) classes_.erase(left);
  if (--known->second.groups > 0) return;
  unused_.push_back(known->second.number);
  shapes_.erase(known);
}

bool Groups::has(const ClassKey& key) const {
  const auto found = classes_.find(key);
  return found != classes_.end() && !found->second.jobs.empty();
}

void Groups::keep_empty(bool keeps) {
  keeps_empty_ = keeps;
  if (!keeps) std::erase_if(classes_, [](const auto& each) { return each.second.jobs.empty(); });
}

std::vector<const Shape*> Groups::by_number() const {
  std::vector<const Shape*> shapes(numbers_end_, nullptr);
  for (const auto& [shape, numbered] : shapes_) shapes[numbered.number] = &shape;
  return shapes;
}

bool Groups::operator==(const Groups& other) const {
  if (classes_.size() != other.classes_.size() || shapes_.size() != other.shapes_.size()) return false;
  const auto mine = by_number();
  const auto others = other.by_number();
  return std::ranges::equal(classes_, other.classes_, [&](const auto& a, const auto& b) {
    return a.first == b.first &&
           std::ranges::equal(a.second.order, b.second.order, [&](const auto& one, const auto& two) {
             return one.first == two.first && *mine[one.second] == *others[two.second] &&
                    a.second.jobs.at(one.second) == b.second.jobs.at(two.second);
           });
  });
}

}  // namespace paddock::scheduler
