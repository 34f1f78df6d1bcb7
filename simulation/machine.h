// simulation/machine.h – a node: the real worker's agent and messages over simulated ranks. Its clock goes at its own rate,
// its daemon may be stopped or killed, and its guards keep the lease even then (worker/guard.h). Threads: one owner.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "simulation/world.h"
#include "worker/agent.h"
#include "worker/identity.h"
#include "worker/messages.h"

namespace paddock::simulation {

class Machine {
 public:
  using Send = std::function<void(Machine& from, wire::Frame frame)>;
  using Gone = std::function<void(Machine& machine)>;
  // `send`: a frame to the coordinator, over this machine's present connection. `gone`: its daemon has ended as it was
  // asked to.
  Machine(World& world, std::string name, const NodePlan& plan, Send send, Gone gone);
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  void start();
  void crash();  // the daemon dies, with it its guards and ranks
  void stop();   // the daemon is asked to end
  void pause(Millis time);
  // One of its GPUs falls ill, and most of what runs there fails. It may be well once the daemon is started again.
  void break_gpu();
  bool has_ill_gpus() const { return !ill_gpus_.empty(); }
  // What this daemon has told of its GPUs is known by now.
  void check_told(const scheduler::Cluster& cluster);
  void calm();  // from now on it neither hangs nor stays down
  // A connection was made, or made again.
  void connected();
  void receive(const wire::Frame& frame);

  const std::string& name() const { return identity_.node; }
  bool is_up() const { return agent_ != nullptr; }
  // Of the daemon that runs now: whatever an earlier one had under way is gone.
  std::uint64_t incarnation() const { return identity_.incarnation; }

 private:
  struct Rank {
    JobKey job;
    Fence fence;
    RankId rank;
    std::vector<std::string> gpus;
    bool is_running = false;
    bool is_deaf = false;  // to SIGTERM
    bool is_hung = false;
    std::int64_t steps_left = 0;
    std::int64_t step = 0;
    std::int32_t exit_code = 0;  // as it will end if nothing befalls it
    std::uint64_t life = 0;      // tells this process from another of the same key
  };

  Instant local_now() const;
  Instant global(Instant local) const;
  void feed(worker::Event event);
  void wake_later();
  void carry_out(const worker::SendJoin& effect);
  void carry_out(const worker::SendHeartbeat& effect) { send(effect); }
  void carry_out(const worker::SendReports& effect) { send(effect); }
  void carry_out(const worker::SendLeave& effect) { send(effect); }
  void carry_out(const worker::StartRank& effect);
  void carry_out(const worker::TerminateRank& effect);
  void carry_out(const worker::KillRank& effect);
  void carry_out(const worker::ForgetRank&) {}
  void carry_out(const worker::ResendLogs&) {}
  void carry_out(const worker::ExtendLease& effect);
  void carry_out(const worker::RefuseStart& effect);
  void carry_out(const worker::SayReady&) {}
  void carry_out(const worker::Exit&);
  template <typename What>
  void send(const What& what) {
    capnp::MallocMessageBuilder builder;
    worker::write(builder, identity_, what);
    send_message(builder);
  }
  void send_message(capnp::MessageBuilder& builder);
  void begin(const worker::RankKey& key, std::uint64_t life);
  void work(const worker::RankKey& key, std::uint64_t life);
  void end(const worker::RankKey& key, std::int32_t exit_code, std::int32_t signal);
  void stop_running(Rank& rank);
  void look_at_gpus();
  std::string gpu_fault_of(const Rank& rank) const;
  void guards_look(std::uint64_t incarnation);
  Rank* find(const worker::RankKey& key, std::uint64_t life);

  World& world_;
  const NodePlan plan_;
  const Send send_;
  const Gone gone_;
  worker::Identity identity_;
  std::unique_ptr<worker::Agent> agent_;  // none: the daemon is down
  bool is_paused_ = false;
  std::uint64_t pauses_ = 0;
  std::deque<worker::Event> events_;  // that came while it was stopped, or while it decides
  bool is_deciding_ = false;
  std::optional<Instant> guard_deadline_;  // local
  Instant wake_at_{};
  std::map<worker::RankKey, Rank> ranks_;
  std::uint64_t next_life_ = 1;
  std::map<std::string, std::string> ill_gpus_;  // and what the driver says
};

}  // namespace paddock::simulation
