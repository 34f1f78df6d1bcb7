// coordinator/clock.h – the two clocks that the coordinator asks: one that only goes forward, which decides, and the one on
// the wall, which people read. Threads: any.
#pragma once

#include <chrono>

#include "base/time.h"

namespace paddock::coordinator {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Instant now() const = 0;
  virtual WallTime wall() const = 0;
};

class SystemClock final : public Clock {
 public:
  Instant now() const override {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return Instant{std::chrono::duration_cast<Millis>(since).count()};
  }
  WallTime wall() const override {
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    return WallTime{std::chrono::duration_cast<Millis>(since).count()};
  }
};

}  // namespace paddock::coordinator
