// worker/clock.h – the clock that leases are kept by: it goes on while the machine is suspended, and is never set. A
// monotonic clock that stands still meanwhile would let a worker believe in a lease that was given away long ago.
// Threads: any.
#pragma once

#include <sys/timerfd.h>
#include <unistd.h>

#include <cstdint>
#include <ctime>

#include "base/time.h"

namespace paddock::worker {

inline Instant boot_now() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return Instant{static_cast<std::int64_t>(now.tv_sec) * 1'000 + now.tv_nsec / 1'000'000};
}

// Something to wait for that can be read from an instant of that clock on, and at once after a suspension that the
// instant fell into; the time-outs of poll() only count the time awake.
class BootTimer {
 public:
  BootTimer() : descriptor_(timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK)) {}
  BootTimer(const BootTimer&) = delete;
  BootTimer& operator=(const BootTimer&) = delete;
  ~BootTimer() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  int descriptor() const { return descriptor_; }  // -1: the kernel gave none
  void set(Instant at) {
    itimerspec when{};
    when.it_value.tv_sec = at.ms / 1'000;
    when.it_value.tv_nsec = at.ms % 1'000 * 1'000'000 + 1;  // all zero would mean never
    timerfd_settime(descriptor_, TFD_TIMER_ABSTIME, &when, nullptr);
  }

 private:
  int descriptor_;
};

}  // namespace paddock::worker
