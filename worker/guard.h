// worker/guard.h – the small process between the daemon and one rank, so that no rank outlives its worker.
// The daemon's main calls guard_main() for the hidden subcommand `guard`, before anything else (no thread, no
// log).
//
// The guard is a subreaper: whatever the rank leaves behind, even in a session of its own, becomes the
// guard's child. It ends everything below it when the rank exits, when it is told to, when the lease runs out
// that it was told of (the daemon may hang), and when the socket to the daemon closes, which is how it learns
// that the daemon died. The rank itself dies with the guard (PR_SET_PDEATHSIG). The guard itself has no
// PDEATHSIG: SIGKILL would take it away before it could clear up.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace paddock::worker {

// Where a rank finds its report pipe, PADDOCK_REPORT_FD. Below 10, because /bin/sh redirects to no others.
inline constexpr int kReportDescriptor = 3;

// What daemon and guard say to each other: one packet each on a SOCK_SEQPACKET pair.
struct GuardOrder {
  enum class Kind : std::uint32_t { kSignal = 1, kKill = 2, kDeadline = 3 };
  Kind kind{};
  std::int32_t signal = 0;  // kSignal: sent to the rank's process group
  std::int64_t deadline_ms =
      0;  // kDeadline: on CLOCK_MONOTONIC; everything is killed then unless a later one comes
};
struct GuardNews {
  enum class Kind : std::uint32_t { kStarted = 1, kCouldNotStart = 2, kEnded = 3 };
  Kind kind{};
  std::int64_t value =
      0;  // kStarted: pid; kCouldNotStart: errno; kEnded: wait status. Comes after all has ended.
};

struct GuardArguments {
  int control = -1;       // the guard's end of the pair
  int report = -1;        // the rank's end of its report pipe: the rank has it as kReportDescriptor
  std::string log;        // stdout and stderr are appended here
  std::string directory;  // where the rank starts
  std::vector<std::string> cgroups;  // folders to enter; none: rlimits only
  std::uint64_t data_bytes_max = 0;  // RLIMIT_DATA where there is no memory cgroup; 0: none
  std::vector<std::string> command;
};
// The arguments of the subcommand and back; `environ` goes to the rank as it is.
std::vector<std::string> to_argv(const GuardArguments& arguments);

// argv[0] is the subcommand's own name. Returns an exit code; 2: the arguments are wrong.
int guard_main(int argc, char** argv);

}  // namespace paddock::worker
