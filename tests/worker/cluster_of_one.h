// tests/worker/cluster_of_one.h – a real worker process under a coordinator that the test plays itself.
// The test program is also the worker and the guard: worker_main.cpp.
#pragma once

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/temporary_folder.h"
#include "wire/socket.h"
#include "worker/report.h"

namespace paddock::worker {

// A named pipe that all processes of a job hold open: read_line() waits for what they say, and closed() for
// the end of the last of them, whatever session it is in. No clock is asked.
class Lifeline {
 public:
  explicit Lifeline(const std::filesystem::path& path);
  ~Lifeline();
  Lifeline(const Lifeline&) = delete;
  Lifeline& operator=(const Lifeline&) = delete;
  std::string read_line();  // "" when the last writer has gone
  bool closed() { return read_line().empty(); }
  const std::string path;

 private:
  int file_ = -1;
};

class ClusterOfOne {
 public:
  static constexpr Millis kLongLease = std::chrono::seconds(60);

  explicit ClusterOfOne(Millis lease = kLongLease);
  ~ClusterOfOne();
  ClusterOfOne(const ClusterOfOne&) = delete;
  ClusterOfOne& operator=(const ClusterOfOne&) = delete;

  // Starts /bin/sh with this script as rank 0 of a new attempt; its fence.
  Fence start(const std::string& script, std::uint64_t memory_bytes = 0);
  void send_start(Fence fence);  // again
  void end(Fence fence, Millis grace);
  void signal_worker(int number) const { kill(worker_, number); }
  int wait_for_worker();  // its wait status
  void restart_coordinator();

  // Serves the worker until this has come.
  std::int64_t pid_of(Fence fence);
  Ended end_of(Fence fence);
  void until_joined(int times);
  void until_left();

  const TemporaryFolder own;
  const std::filesystem::path folder = own.path();
  bool acknowledges = true;
  std::map<Fence, std::string> logs;
  std::map<Fence, bool> log_is_whole;              // its last piece came
  std::map<Fence, std::vector<Finding>> findings;  // in the order of their coming
  std::vector<RankKey> held_at_join;
  int joins = 0;

 private:
  void turn();
  void take(const wire::Peer& peer, wire::Message::Reader message);
  void take_reports(const wire::Peer& peer, wire::Reports::Reader reports);
  void grant(const wire::Peer& peer, std::uint64_t sequence);
  template <typename Kind>
  const Kind* find(Fence fence) const;

  const Millis lease_;
  std::optional<wire::Server> server_;
  std::string endpoint_;
  wire::Peer peer_;
  pid_t worker_ = -1;
  bool left_ = false;
  std::uint64_t last_fence_ = 0;
  struct Start {
    std::string script;
    std::uint64_t memory_bytes = 0;
  };
  std::map<Fence, Start> starts_;
};

}  // namespace paddock::worker
