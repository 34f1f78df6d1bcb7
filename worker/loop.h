// worker/loop.h – the daemon's one loop: what comes by wire, signal, pipe and clock becomes events, the agent
// decides, and its effects are carried out here. Threads: one; it owns everything below. Errors: run() ends
// only when told to, or when waiting itself fails.
#pragma once

#include <unistd.h>

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "wire/socket.h"
#include "worker/agent.h"
#include "worker/attempt_folders.h"
#include "worker/cgroup.h"
#include "worker/clock.h"
#include "worker/gpu_monitor.h"
#include "worker/identity.h"
#include "worker/log_tail.h"
#include "worker/options.h"
#include "worker/processes.h"
#include "worker/rendezvous_ports.h"
#include "worker/report_pipe.h"
#include "worker/tenant_users.h"

namespace paddock::worker {

// Closes the descriptor that it holds.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

// What the loop works with, made by run_worker().
struct Parts {
  WorkerOptions options;  // resolved: absolute folders
  Log log;
  Identity identity;
  TenantUsers tenant_users;
  RendezvousPorts ports;
  Cgroups cgroups;
  GpuMonitor gpus;
  wire::Client client;
  Descriptor state_lock;
  Descriptor signals;
};

class Loop {
 public:
  explicit Loop(Parts parts);
  Result<void> run();

 private:
  struct LiveRank {
    explicit LiveRank(const std::filesystem::path& log) : tail(log) {}
    LogTail tail;
    std::optional<ReportPipe> pipe;
    RankCgroup cgroup;
    std::optional<RankEnded> ended;  // to be told to the agent once the log is sent, or has had its time
    Instant ended_at;
    std::vector<std::string> gpus;    // that it runs on
    std::uint64_t signs_of_life = 0;  // of the GPUs' driver, when it ended
    bool is_forgotten = false;        // its end is acknowledged; it stays until its log is sent
  };

  Millis time_to_wake();
  Result<void> wait();
  bool gather();
  std::vector<int> descriptors() const;
  void read_messages();
  void watch_connection();
  void read_signals();
  void read_pipes();
  void read_processes();
  void watch_gpus();
  bool waits_for_gpu_news(const LiveRank& rank) const;
  void take_log_positions(wire::Message::Reader message);
  void bound_logs();
  void forget(std::map<RankKey, LiveRank>::iterator rank);
  void forget_sent();
  bool is_log_sent(const LiveRank& rank) const;
  std::uint64_t log_bytes_in_flight() const;
  void send_logs();
  bool send_log(const RankKey& key, LiveRank& rank, int pieces);
  void tell_ends();
  void happened(Event event) { events_.push_back(std::move(event)); }
  void decide();

  void carry_out(const SendJoin& effect);
  void carry_out(const SendHeartbeat& effect) { send(effect); }
  void carry_out(const SendReports& effect);
  void carry_out(const SendLeave& effect) { send(effect); }
  void carry_out(const StartRank& effect);
  void carry_out(const TerminateRank& effect) { processes_.terminate(effect.key); }
  void carry_out(const KillRank& effect) { processes_.kill(effect.key); }
  void carry_out(const ForgetRank& effect);
  void carry_out(const ResendLogs& effect);
  void carry_out(const ExtendLease& effect) { processes_.set_deadline(effect.kill_at.ms); }
  void carry_out(const RefuseStart& effect);
  void carry_out(const SayReady& effect);
  void carry_out(const Exit&) { is_done_ = true; }
  void flush_reports();
  void flush_unless_held();
  Result<int> launch(const StartRank& effect, LiveRank& rank);
  void ended(const RankKey& key, LiveRank& rank, int wait_status);
  void close_pipe(const RankKey& key, LiveRank& rank);
  template <typename What>
  void send(const What& what);
  void send_message(capnp::MessageBuilder& builder);

  Parts parts_;
  const Log& log_;
  std::vector<std::string> environment_;
  Processes processes_;
  Agent agent_;
  std::map<RankKey, LiveRank> ranks_;  // until the coordinator has acknowledged their end and has their log
  std::deque<Event> events_;
  std::set<int> readable_;                         // descriptors, in this turn
  std::chrono::steady_clock::time_point turn_at_;  // when the last turn began
  SendReports outgoing_;  // of this turn, not sent yet: what happened together goes as one message
  std::size_t outgoing_bytes_ = 0;
  std::optional<Instant> hold_until_;  // set while outgoing_ says only that ranks have started
  AttemptFolders folders_;
  std::uint64_t connections_ = 0;
  wire::Obstacle obstacle_ = wire::Obstacle::kNone;
  BootTimer timer_;  // beside the time-outs of waiting, for when the machine was suspended
  Instant logs_at_;
  Instant bound_at_;
  bool takes_logs_ = false;  // the coordinator of this connection says how far logs have come
  std::string last_refusal_;
  std::set<std::string> faults_told_;  // UUIDs
  bool is_stop_asked_ = false;
  bool is_done_ = false;
};

}  // namespace paddock::worker
