// worker/rank_process.h – becomes a rank: the way from a guard's fork to the job's own command. Threads: the
// guard's only one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "worker/guard_launch.h"

namespace paddock::worker {

// Where a rank finds its report pipe, PADDOCK_REPORT_FD. Below 10, because /bin/sh redirects to no others.
inline constexpr int kReportDescriptor = 3;

// What of the guard's it gets; they stay the guard's own too.
struct RankDescriptors {
  int report = -1;   // its end of the report pipe: kReportDescriptor
  int nothing = -1;  // its standard input
};

struct StartedRank {
  pid_t pid = -1;  // when it could not start: of a child that has exited already, or -1
  int error = 0;   // errno; 0: it runs
};

// Moves the calling process into a control group, by its file cgroup.procs. False, with errno: it is not let in.
bool enter_cgroup(const std::string& procs_file);

// Starts the command in a session and process group of its own; it dies with the calling process
// (PR_SET_PDEATHSIG). Returns when the command runs or could not.
// `deadline_ms` on CLOCK_BOOTTIME: nothing starts from then on, however long a disk kept us waiting.
// Changes the caller's `environ` to the rank's.
StartedRank start_rank(const GuardLaunch& launch, const RankDescriptors& descriptors,
                       std::optional<std::int64_t> deadline_ms);

}  // namespace paddock::worker
