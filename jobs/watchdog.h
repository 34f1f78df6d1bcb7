// jobs/watchdog.h – ends a rank that makes no progress, after writing where it hangs.
// The loop says what it is about to do; when that takes too long, every thread's stack goes to stderr, the failure is reported
// with the name of what hung, and the process exits: the attempt ends and is tried again instead of burning a cluster's time.
// A rank that waits for others is given longer, so that the one that hangs is the one that is named.
// Threads: a Watchdog has one owner and a thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace paddock::jobs {

class Watchdog {
 public:
  // `limit`: for one phase; waiting for other ranks may take half as long again. 0: no watch. `end`: called once, on the
  // watchdog's thread, with the sentence; the default writes it and the stacks to stderr and exits the process with 1.
  Watchdog(std::chrono::milliseconds limit, std::function<void(const std::string&)> end);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // `phase`: a literal, "reading pictures". `is_waiting`: for other ranks.
  void enter(const char* phase, std::int64_t step, bool is_waiting = false);

 private:
  void watch();

  const std::chrono::milliseconds limit_;
  const std::function<void(const std::string&)> end_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_stopping_ = false;
  const char* phase_ = "starting";
  std::int64_t step_ = 0;
  bool is_waiting_ = false;
  std::chrono::steady_clock::time_point since_;
  std::thread thread_;  // last: it uses everything above
};

// Writes the stack of every thread of this process to stderr: function names where the program exports them, else addresses
// for addr2line. Uses SIGUSR2. Best effort: a thread that cannot take a signal within a second is named instead.
void write_all_stacks();

}  // namespace paddock::jobs
