// simulation/timeline.h – simulated time: what happens next happens now. What is planned for the same instant happens in
// the order in which it was planned, so that a seed has one history. Threads: one owner.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "base/time.h"

namespace paddock::simulation {

class Timeline {
 public:
  Instant now() const { return now_; }
  void at(Instant when, std::function<void()> what) {
    plan_.emplace(std::pair(std::max(when, now_), next_++), std::move(what));
  }
  void after(Millis time, std::function<void()> what) { at(now_ + time, std::move(what)); }

  // Lets the next thing happen, if there is one by `until`; else it is `until` now, and the answer false.
  bool step(Instant until) {
    if (plan_.empty() || plan_.begin()->first.first > until) {
      now_ = std::max(now_, until);
      return false;
    }
    auto next = plan_.extract(plan_.begin());
    now_ = next.key().first;
    next.mapped()();
    return true;
  }

 private:
  Instant now_;
  std::uint64_t next_ = 0;
  std::map<std::pair<Instant, std::uint64_t>, std::function<void()>> plan_;
};

}  // namespace paddock::simulation
