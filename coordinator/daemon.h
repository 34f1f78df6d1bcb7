// coordinator/daemon.h – the coordinator as a process: its options, signals, files and sockets around the loop that
// coordinator.h is. One thread.
#pragma once

#include "base/log.h"
#include "base/result.h"
#include "coordinator/options.h"

namespace paddock::coordinator {

// Serves until SIGTERM or SIGINT, which it blocks in the calling thread; that should be the only one.
// Says READY=1 to systemd ($NOTIFY_SOCKET) once it takes requests.
// kInvalid: an option is wrong. kCorrupt: the journal is damaged; nothing was changed. kUnavailable: another
// coordinator holds the state folder, or the disk or the network refuses; what was answered before is safe,
// start it again.
Result<void> run_coordinator(const CoordinatorOptions& options, const Log& log = Log());

}  // namespace paddock::coordinator
