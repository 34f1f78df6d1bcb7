// worker/daemon.h – the node daemon: a loop that receives, lets the agent decide, and carries out the
// effects. Ranks run under guards (worker/guard.h), so that none outlives the daemon, however it ends.
// Threads: runs in the calling thread, which should be the only one; it blocks SIGTERM, SIGINT and SIGCHLD.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "worker/options.h"

namespace paddock::worker {

// Serves until SIGTERM or SIGINT: then ends its ranks with grace, reports, says goodbye and returns.
// Says READY=1 to systemd ($NOTIFY_SOCKET) with the first lease.
// kInvalid: an option is wrong. kConflict: another worker holds the state folder. kUnavailable: the machine
// refuses.
Result<void> run_worker(const WorkerOptions& options, const Log& log = Log());

}  // namespace paddock::worker
