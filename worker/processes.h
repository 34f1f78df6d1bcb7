// worker/processes.h – the ranks as processes: each behind its guard (worker/guard.h), by key. A guard whose
// rank has ended waits for the next one.
// The process becomes a subreaper, so that what a killed guard leaves behind comes here and is ended too.
// Threads: one owner, which has blocked SIGCHLD and calls collect() whenever it comes or a descriptor is
// ready.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "worker/guard.h"
#include "worker/report.h"

namespace paddock::worker {

struct ProcessStarted {
  std::int64_t pid = 0;
};
struct ProcessNotStarted {
  std::string reason;
};
struct ProcessEnded {  // and all below it
  int wait_status = 0;
};
struct ProcessNews {
  RankKey key;
  std::variant<ProcessStarted, ProcessNotStarted, ProcessEnded> what;
};

class Processes {
 public:
  explicit Processes(std::vector<std::string> guard_command);
  ~Processes();  // closes the sockets: the guards end their ranks
  Processes(const Processes&) = delete;
  Processes& operator=(const Processes&) = delete;

  // Gives the rank to a guard; whether it came to life is told later. PADDOCK_REPORT_FD is added to its
  // environment. Returns the read end of its report pipe, non-blocking, which the caller closes.
  // kUnavailable: no process or descriptor to be had.
  Result<int> start(const RankKey& key, GuardLaunch launch);
  void terminate(const RankKey& key);  // SIGTERM to the rank's process group
  void kill(const RankKey& key);       // SIGKILL to all below the guard
  // When every guard, also of ranks started later, kills its rank by itself; milliseconds of CLOCK_BOOTTIME.
  void set_deadline(std::int64_t boot_ms);
  // What has happened since; never blocks. `readable`: of descriptors(), those that can be read.
  // `helpers`: children of this process that are no ranks and are let live.
  std::vector<ProcessNews> collect(const std::set<int>& readable, const std::set<pid_t>& helpers = {});
  // Ends the guards that have no rank, and returns when they are gone.
  void end_idle_guards();
  // Readable when collect() has something to do (besides SIGCHLD).
  std::vector<int> descriptors() const;

 private:
  struct Guard {
    pid_t pid = -1;
    int control = -1;
    std::vector<std::string> home{};  // the control groups that it is in itself
    bool is_dead = false;
  };
  struct Child {
    Guard guard;
    std::string name;  // argv[0], for messages
    bool has_started = false;
    bool has_ended = false;  // told, or could not start
  };
  void hear(const RankKey& key, Child& child, std::vector<ProcessNews>& news);
  void reap();
  Result<Guard> take_guard(const GuardLaunch& launch);
  Result<Guard> new_guard() const;
  void give_back(const Guard& guard);
  bool tell(const Guard& guard, const GuardOrder& order) const;
  bool tell_start(const Guard& guard, std::string_view launch, int report) const;
  bool end_orphans(const std::set<pid_t>& helpers);  // true: there are none

  const std::vector<std::string> guard_command_;
  std::map<RankKey, Child> children_;
  std::vector<Guard> idle_;  // guards without a rank, at most limits::kIdleGuardsMax
  std::optional<std::int64_t> deadline_ms_;
};

}  // namespace paddock::worker
