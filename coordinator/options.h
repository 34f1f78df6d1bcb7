// coordinator/options.h – what an operator can set on the coordinator.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

#include "base/time.h"

namespace paddock::coordinator {

struct CoordinatorOptions {
  // Its own folder: the database (journal, checkpoint index) and the logs of ranks. One coordinator at a
  // time.
  std::filesystem::path state;
  // The shared store that every node sees under the same path: stages, checkpoints, folders of command jobs.
  std::filesystem::path store;
  // Where it listens. Port *: a free one.
  std::string bind = "tcp://127.0.0.1:7373";
  // Its secret key (wire/keys.h), and whose keys it answers to (wire/allow_list.h).
  std::filesystem::path key;
  std::filesystem::path allow;
  // Without keys: nothing is encrypted and whoever reaches it may do everything, so only on loopback.
  bool plain = false;
  // Written (as text: the endpoint with its real port, and the public key) once replay is complete and requests are taken. Empty:
  // not written.
  std::filesystem::path endpoint_file;

  // How long a worker may go unheard before its ranks end. Less finds a lost node sooner; more forgives a
  // slow network. 1 s to 10 min.
  Millis lease = std::chrono::seconds(15);
  // On top of the lease until the coordinator counts the node as lost: covers the workers' time to kill. At
  // least 500 ms.
  Millis lease_margin = std::chrono::seconds(3);
  // What is kept of one rank's output; the rest is dropped. 1 MiB to 1 TiB.
  std::uint64_t log_bytes_max = 1ull << 30;

  // Kept free on the disk of `state` for what was accepted before it filled up (coordinator/room.h): submissions are
  // refused when it cannot be. More lets more running work end on a full disk. 0: none is kept, nothing is refused.
  std::uint64_t disk_reserve_bytes = 64ull << 20;

  // How long a graph that has ended stays in memory; then it is in the archive, where it is shown from as
  // before. Less takes less memory, and makes snapshots smaller. At least 1 s.
  Millis keep_ended = std::chrono::hours(1);
  // Jobs of ended graphs that stay in memory at most; the oldest graphs leave first, whatever their age.
  std::uint64_t ended_jobs_max = 20'000;
  // How long a graph that has ended is in the archive, and the output of its ranks is kept; then both are removed, but
  // nothing that it made. 0: for ever. At least as long as keep_ended.
  Millis keep_archive{0};
  // Jobs in the archive at most; beyond it the graphs that ended first are removed, whatever their age. 0: as many as there
  // are.
  std::uint64_t archive_jobs_max = 0;
  // Events after which a snapshot is taken, or twice the jobs in memory where that is more: so many are
  // replayed by a start. Less starts sooner, more writes less. At least 1.
  std::uint64_t snapshot_events = 100'000;
};

}  // namespace paddock::coordinator
