// scheduler/shared.h – a value of which most jobs of a graph have the same one: it is there once, however many hold it.
// Copies, compares and orders like the value itself; edit() makes it one's own first. Threads: as the value's.
#pragma once

#include <compare>
#include <memory>
#include <utility>

namespace paddock::scheduler {

template <typename T>
class Shared {
 public:
  Shared() : value_(usual()) {}
  Shared(T value) : value_(std::make_shared<T>(std::move(value))) {}  // as a T would be given

  const T& operator*() const { return *value_; }
  const T* operator->() const { return value_.get(); }
  operator const T&() const { return *value_; }

  T& edit() {
    if (value_.use_count() > 1) value_ = std::make_shared<T>(*value_);
    return *value_;
  }
  // If they are equal: from now on one value serves both.
  void share_with(const Shared& other) {
    if (value_ != other.value_ && *value_ == *other.value_) value_ = other.value_;
  }

  friend bool operator==(const Shared& a, const Shared& b) {
    return a.value_ == b.value_ || *a.value_ == *b.value_;
  }
  friend auto operator<=>(const Shared& a, const Shared& b) requires requires(const T& value) {
    value <=> value;
  }
  {
    using Order = decltype(*a.value_ <=> *b.value_);
    return a.value_ == b.value_ ? Order::equivalent : *a.value_ <=> *b.value_;
  }

 private:
  // Held here as well, so that nobody edits it.
  static const std::shared_ptr<T>& usual() {
    static const auto value = std::make_shared<T>();
    return value;
  }

  std::shared_ptr<T> value_;  // changed by edit() alone, and only while nobody else holds it
};

}  // namespace paddock::scheduler
