// worker/guard.h – the small process between the daemon and a rank, so that no rank outlives its worker.
// The daemon's main calls guard_main() for the hidden subcommand `guard`, before anything else (no thread, no
// log).
//
// A guard has one rank at a time, and takes the next when that one and all below it have ended: starting a
// rank costs one process. Where ranks without a memory limit of their own have a control group, the guard lives in it too,
// so that they need not be moved there. It is a subreaper: whatever the rank leaves behind, even in a session of its own,
// becomes the guard's child. It ends everything below it when the rank exits, when it is told to, when the
// lease runs out that it was told of (the daemon may hang), and when the socket to the daemon closes, which is
// how it learns that the daemon died. The rank itself dies with the guard (PR_SET_PDEATHSIG). The guard itself
// has no PDEATHSIG: SIGKILL would take it away before it could clear up.
#pragma once

#include <cstddef>
#include <cstdint>

#include "worker/guard_launch.h"

namespace paddock::worker {

// What daemon and guard say to each other: one packet each on a SOCK_SEQPACKET pair. Orders are obeyed in the
// order given, so one about a rank that has ended can never reach the next.
struct GuardOrder {
  enum class Kind : std::uint32_t { kSignal = 1, kKill = 2, kDeadline = 3, kStart = 4 };
  Kind kind{};
  std::int32_t signal = 0;  // kSignal: sent to the rank's process group
  // kDeadline, and kStart unless 0: on CLOCK_BOOTTIME; everything is killed then unless a later one comes.
  std::int64_t deadline_ms = 0;
};
// kStart is followed by the bytes of a GuardLaunch in the same packet and comes with a descriptor (SCM_RIGHTS),
// the rank's end of its report pipe. What is longer than a packet comes in a memory file, a second descriptor.
inline constexpr std::size_t kLaunchBytesInPacket = 64u << 10;

struct GuardNews {
  enum class Kind : std::uint32_t { kStarted = 1, kCouldNotStart = 2, kEnded = 3 };
  Kind kind{};
  std::int64_t value = 0;  // kStarted: pid; kCouldNotStart: errno; kEnded: wait status, after all has ended.
                           // After either of the last two the guard is free for another rank.
};

// argv[0] is the subcommand's own name, argv[1] the number of the guard's end of the pair. Returns an exit
// code; 2: the arguments are wrong.
int guard_main(int argc, char** argv);

}  // namespace paddock::worker
