// scheduler/least.h – the few least of many, as they come: those that cannot be among them are known at once. Threads: a
// value with one owner.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace paddock::scheduler {

template <typename T>
class Least {
 public:
  explicit Least(std::size_t most) : most_(most) {}

  bool is_full() const { return heap_.size() == most_; }
  // The greatest of them. There must be one.
  const T& last() const { return heap_.front(); }
  bool would_take(const T& one) const { return !is_full() || one < last(); }

  void add(T one) {
    if (!would_take(one)) return;
    if (is_full()) {
      std::ranges::pop_heap(heap_);
      heap_.pop_back();
    }
    heap_.push_back(std::move(one));
    std::ranges::push_heap(heap_);
  }

  // In no order.
  const std::vector<T>& all() const { return heap_; }

 private:
  std::size_t most_;
  std::vector<T> heap_;  // the greatest first
};

}  // namespace paddock::scheduler
