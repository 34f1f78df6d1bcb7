// base/time.h – instants and durations. The deciding parts get the time as an argument; only mains and loops ask a clock.
// Durations come from the monotonic clock; wall time is for people and is never compared.
#pragma once

#include <chrono>
#include <cstdint>

namespace paddock {

using Millis = std::chrono::milliseconds;

// Wall time for journals and people: milliseconds since 1970-01-01 UTC.
struct WallTime {
  std::int64_t unix_ms = 0;
  auto operator<=>(const WallTime&) const = default;
};

// A point of the loop's own monotonic clock. Only differences mean anything.
struct Instant {
  std::int64_t ms = 0;
  auto operator<=>(const Instant&) const = default;
  friend Instant operator+(Instant at, Millis by) { return Instant{at.ms + by.count()}; }
  friend Instant operator-(Instant at, Millis by) { return Instant{at.ms - by.count()}; }
  friend Millis operator-(Instant later, Instant earlier) { return Millis{later.ms - earlier.ms}; }
};

}  // namespace paddock
