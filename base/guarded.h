// base/guarded.h – a value that can only be reached while its lock is held.
// `Guarded<Queue> queue; queue.with([](Queue& q) { q.push(1); });` and `queue.wait(ready, action)` for conditions.
#pragma once

#include <condition_variable>
#include <mutex>
#include <utility>

namespace paddock {

template <typename T>
class Guarded {
 public:
  Guarded() = default;
  explicit Guarded(T value) : value_(std::move(value)) {}

  // Runs `action(T&)` under the lock, then wakes everyone who waits for a change.
  template <typename Action>
  auto with(Action&& action) {
    struct Wake {
      std::condition_variable& changed;
      ~Wake() { changed.notify_all(); }
    } wake{changed_};
    const std::lock_guard lock(mutex_);
    return std::forward<Action>(action)(value_);
  }

  // Waits until `ready(T&)` holds, then runs `action(T&)`, all under the lock.
  template <typename Ready, typename Action>
  auto wait(Ready&& ready, Action&& action) {
    struct Wake {
      std::condition_variable& changed;
      ~Wake() { changed.notify_all(); }
    } wake{changed_};
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ready(value_); });
    return std::forward<Action>(action)(value_);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  T value_{};
};

}  // namespace paddock
