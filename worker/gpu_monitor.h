// worker/gpu_monitor.h – the worker's end of gpu_watch.h: starts that process, reads what it tells, and notices when it
// tells nothing, which is how a driver that hangs shows. Then the process is killed and another started, a while later
// each time; the GPUs stay offered, since not to see them is not to know them ill.
// Threads: one owner, the worker's loop. Errors: Result.
#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/time.h"
#include "worker/gpu_faults.h"
#include "worker/gpu_watch.h"

namespace paddock::worker {

class GpuMonitor {
 public:
  // `command` is run as it is; it becomes a process of gpu_watch_main().
  GpuMonitor(std::vector<std::string> command, Log log)
      : command_(std::move(command)), log_(std::move(log)) {}
  GpuMonitor(GpuMonitor&& other) noexcept;
  GpuMonitor& operator=(GpuMonitor&&) = delete;
  ~GpuMonitor();  // kills the process

  // Starts it and waits for its list. kUnavailable: it cannot be started, the driver answers with an error, or does
  // not answer within `patience`.
  Result<std::vector<Gpu>> list(Millis patience);

  // To wait for; -1: nothing to read now.
  int descriptor() const { return pipe_; }
  // Takes in what was told, and does what is due by `now`.
  void turn(Instant now);
  Instant next_wake() const;  // when to call turn() if nothing can be read before

  // What is wrong with a device, since it was seen to be ill: it must not be offered. By UUID, with the reason.
  const std::map<std::string, std::string>& faults() const { return faults_; }
  // Whether signs of life come: then what the driver knows of a rank's end is here with the next of them.
  // Its processes, also one that hangs in the driver and cannot be killed: children of this one, but no ranks.
  std::set<pid_t> pids() const;
  bool is_alive() const { return is_alive_; }
  std::uint64_t signs_of_life() const { return signs_of_life_; }

 private:
  Result<void> start();
  void stop();
  bool read_lines();
  void take(const GpuNews& news);
  void condemn(const std::string& uuid, const std::string& reason);
  void start_later(Instant now, std::string_view why);

  const std::vector<std::string> command_;
  const Log log_;
  pid_t pid_ = -1;
  std::set<pid_t> given_up_;  // killed, and perhaps still there
  int pipe_ = -1;
  std::string line_;  // the part of one that is here
  std::vector<Gpu> listed_;
  bool is_listed_ = false;
  std::string failure_;
  std::map<std::string, std::string> faults_;
  bool is_alive_ = false;
  std::uint64_t signs_of_life_ = 0;
  std::optional<Instant> silent_at_;  // when it counts as hung
  std::optional<Instant> start_at_;   // when another is started
  Millis pause_{0};
};

}  // namespace paddock::worker
