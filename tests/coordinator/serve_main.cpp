// The test program, which is also the coordinator that it tests: `… serve STATE STORE LEASE_MS …`.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "coordinator/daemon.h"
#include "tests/coordinator/coordinator_process.h"

namespace {
std::filesystem::path kill_at_sync_file;  // set in a serving process only
}

// Stands before the C library's: RocksDB makes its log durable by it. Where the file says so, the process is
// killed when the n-th sync from then on is done, and before anybody could be told.
extern "C" int fdatasync(int file) {
  const long synced = ::syscall(SYS_fdatasync, file);
  int count = 0;
  if (::gettid() != ::getpid())
    return static_cast<int>(synced);  // RocksDB's own threads tidy up when they like
  if (!kill_at_sync_file.empty() && std::ifstream(kill_at_sync_file) >> count) {
    if (count == 1) ::kill(::getpid(), SIGKILL);
    std::ofstream(kill_at_sync_file) << count - 1;
  }
  return static_cast<int>(synced);
}

int main(int argc, char** argv) {
  if (argc == 8 && std::string(argv[1]) == "serve") {
    paddock::coordinator::CoordinatorOptions options;
    options.state = argv[2];
    options.store = argv[3];
    options.bind = "tcp://127.0.0.1:*";
    options.plain = true;
    options.endpoint_file = options.state / "endpoint";
    options.lease = paddock::Millis(std::atoi(argv[4]));
    options.lease_margin = paddock::Millis(500);
    options.ended_jobs_max = std::strtoull(argv[5], nullptr, 10);
    options.snapshot_events = std::strtoull(argv[6], nullptr, 10);
    options.disk_reserve_bytes = std::strtoull(argv[7], nullptr, 10);
    kill_at_sync_file = options.state / paddock::coordinator::kKillAtSync;
    paddock::Log log;
    log.quiet();
    const auto served = paddock::coordinator::run_coordinator(options, log);
    if (!served) std::fprintf(stderr, "%s\n", served.error().message.c_str());
    return served ? 0 : 1;
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
