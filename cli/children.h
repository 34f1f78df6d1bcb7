// cli/children.h – the processes that `paddock dev` starts, and what becomes of them.
// Each says READY=1 on a $NOTIFY_SOCKET of its own, as it would to systemd; their ends and our signals arrive
// by one descriptor. So everything is waited for, nothing is polled. Threads: one owner, single-threaded
// program (it forks). Errors: Result; kUnavailable when the machine refuses.
#pragma once

#include <sys/types.h>

#include <deque>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"

namespace paddock::cli {

class Children {
 public:
  // Blocks SIGTERM, SIGINT and SIGCHLD for this process; children start with none blocked.
  static Result<Children> open();
  Children(Children&&) noexcept;
  Children& operator=(Children&&) = delete;
  ~Children();

  // `argv[0]` is a path. In a process group of its own, so that Ctrl-C reaches only us; with `dies_with_us`
  // the kernel kills it when this process ends, however it ends.
  Result<void> start(const std::string& name, const std::vector<std::string>& argv, bool dies_with_us);

  struct BecameReady {
    std::string name;
  };
  struct Ended {
    std::string name;
    std::string how;
  };  // "exited 1", "killed by signal 9"
  struct Signalled {
    int signal = 0;
  };  // SIGTERM or SIGINT came to us
  using Event = std::variant<BecameReady, Ended, Signalled>;
  // The next thing that happens.
  Result<Event> wait();

  // To a child that still runs; nothing otherwise.
  void signal(const std::string& name, int signal) const;
  bool runs(const std::string& name) const;
  bool any_runs() const;
  pid_t pid_of(const std::string& name) const;

 private:
  struct Child {
    std::string name;
    pid_t pid = 0;
    int notify = -1;  // our end of its NOTIFY_SOCKET
    bool is_ready = false;
    bool has_ended = false;
  };

  explicit Children(int signals) : signals_(signals) {}
  void read_signals();
  void read_notices(Child& child);

  int signals_ = -1;  // signalfd
  std::vector<Child> children_;
  std::deque<Event> events_;  // seen, not yet handed out
};

}  // namespace paddock::cli
