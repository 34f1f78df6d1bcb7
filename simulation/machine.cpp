#include "simulation/machine.h"

#include <algorithm>
#include <csignal>
#include <utility>

namespace paddock::simulation {

using worker::RankKey;

namespace {

std::string shown(const RankKey& key) {
  return std::to_string(key.fence.value) + "/" + std::to_string(key.rank.value);
}

}  // namespace

Machine::Machine(World& world, std::string name, const NodePlan& plan, Send send, Gone gone)
    : world_(world), plan_(plan), send_(std::move(send)), gone_(std::move(gone)) {
  identity_.node = std::move(name);
  identity_.address = "10.0.0.1";
  identity_.cpus = plan.cpus;
  identity_.memory_bytes = 1ull << 36;
  identity_.labels["rack"] = "r" + std::to_string(plan.rack);
  if (plan.is_old) identity_.labels["old"] = "yes";
  for (std::uint32_t i = 0; i < plan.gpus; ++i)
    identity_.gpus.push_back({"GPU-" + std::to_string(i), "H100", 80ull << 30});
  for (std::uint16_t i = 0; i < 8; ++i) identity_.ports.push_back(static_cast<std::uint16_t>(29'500 + i));
}

Instant Machine::local_now() const {
  return Instant{world_.time.now().ms * plan_.clock_permille / 1'000};
}

// The first instant at which the local clock shows it.
Instant Machine::global(Instant local) const {
  return Instant{(local.ms * 1'000 + plan_.clock_permille - 1) / plan_.clock_permille};
}

void Machine::start() {
  if (is_up()) return;
  identity_.incarnation = world_.dice.u64() | 1;
  events_.clear();
  is_paused_ = false;
  wake_at_ = {};
  guard_deadline_.reset();
  agent_ = std::make_unique<worker::Agent>(local_now());
  world_.trace.note(name() + " starts");
  look_at_gpus();
  connected();
}

// Most are well again once their daemon was started anew; the driver tells of the others at once.
void Machine::look_at_gpus() {
  std::erase_if(ill_gpus_, [&](const auto&) { return world_.is_calm || world_.dice.chance(700); });
  for (const auto& [uuid, what] : ill_gpus_) {
    world_.trace.note(uuid + " of " + name() + " is still ill");
    feed(worker::GpuFaulted{uuid, what});
  }
}

void Machine::break_gpu() {
  if (!is_up() || identity_.gpus.empty()) return;
  const std::string uuid = identity_.gpus[world_.dice.below(identity_.gpus.size())].uuid;
  if (!ill_gpus_.try_emplace(uuid, "Xid 79 (the GPU has fallen off the bus)").second) return;
  world_.trace.note(uuid + " of " + name() + " falls ill");
  for (const auto& [key, rank] : ranks_) {
    if (std::ranges::find(rank.gpus, uuid) == rank.gpus.end() || !world_.dice.chance(800)) continue;
    world_.time.after(world_.dice.ms(0, 3'000), [this, key = key, life = rank.life] {
      if (find(key, life) == nullptr) return;
      world_.trace.probe("rank failed by an ill GPU");
      end(key, 1, 0);
    });
  }
  feed(worker::GpuFaulted{uuid, ill_gpus_.at(uuid)});
}

void Machine::check_told(const scheduler::Cluster& cluster) {
  for (const auto& [uuid, what] : ill_gpus_) world_.faulty_gpus.told(cluster, name(), incarnation(), uuid);
}

// As worker/loop.cpp: what befell a GPU of a rank is told with its end.
std::string Machine::gpu_fault_of(const Rank& rank) const {
  std::string fault;
  for (const std::string& uuid : rank.gpus)
    if (ill_gpus_.contains(uuid)) fault = uuid + ": " + ill_gpus_.at(uuid);
  return fault;
}

void Machine::stop() {
  if (!is_up()) return;
  world_.trace.note(name() + " is asked to stop");
  feed(worker::StopAsked{world_.dice.ms(100, 3'000)});
}

void Machine::carry_out(const worker::Exit&) {
  world_.trace.note(name() + " has stopped");
  world_.trace.probe("worker stopped when it was asked to");
  ranks_.clear();  // all have ended
  agent_.reset();
  gone_(*this);
}

void Machine::crash() {
  if (!is_up()) return;
  world_.trace.note(name() + " crashes");
  for (auto& [key, rank] : ranks_) {
    if (rank.is_running) world_.trace.probe("worker crashed under a running rank");
    stop_running(rank);
  }
  ranks_.clear();
  agent_.reset();
}

void Machine::pause(Millis time) {
  if (!is_up() || is_paused_) return;
  is_paused_ = true;
  if (time > world_.plan.lease) world_.trace.probe("worker stopped for longer than a lease");
  world_.trace.note(name() + " is stopped for " + std::to_string(time.count()) + " ms");
  world_.time.after(time, [this, pause = ++pauses_] {
    if (pause != pauses_ || !is_paused_) return;
    is_paused_ = false;
    if (is_up()) feed(worker::TimePassed{});
  });
}

void Machine::calm() {
  is_paused_ = false;
  start();
  for (auto& [key, rank] : ranks_) {
    if (!std::exchange(rank.is_hung, false) || !rank.is_running) continue;
    work(key, rank.life);
  }
  feed(worker::TimePassed{});
}

void Machine::connected() {
  if (is_up()) feed(worker::Connected{});
}

void Machine::receive(const wire::Frame& frame) {
  if (!is_up()) return;
  const auto envelope = wire::decode(frame);
  if (!envelope) return world_.trace.violated("the coordinator sent what nobody can read");
  if (envelope->message().which() == wire::Message::LOGS_TAKEN) return;  // simulated ranks write nothing
  auto event = worker::to_event(envelope->message());
  if (!event) return world_.trace.violated("the coordinator refuses a worker: " + event.error().message);
  feed(*std::move(event));
}

void Machine::feed(worker::Event event) {
  events_.push_back(std::move(event));
  if (is_paused_ || is_deciding_) return;
  is_deciding_ = true;
  while (!events_.empty() && is_up()) {
    const worker::Event next = std::move(events_.front());
    events_.pop_front();
    worker::Effects effects;
    const bool had_lease = agent_->has_lease();
    agent_->apply(next, local_now(), effects);
    if (had_lease && !agent_->has_lease()) world_.trace.probe("lease lapsed at the worker");
    for (const worker::Effect& effect : effects) {
      std::visit([this](const auto& what) { carry_out(what); }, effect);
    }
  }
  is_deciding_ = false;
  wake_later();
}

void Machine::wake_later() {
  if (!is_up()) return;
  const Instant wake = agent_->next_wake();
  const Instant hour = local_now() + std::chrono::hours(1);
  const Instant at = std::max(global(std::min(wake, hour)), world_.time.now() + Millis(1));
  if (wake_at_ == at) return;
  wake_at_ = at;
  world_.time.at(at, [this, at, incarnation = incarnation()] {
    if (!is_up() || incarnation != this->incarnation() || wake_at_ != at) return;
    wake_at_ = {};
    feed(worker::TimePassed{});
  });
}

void Machine::send_message(capnp::MessageBuilder& builder) {
  auto frame = wire::encode(builder);
  if (!frame) return world_.trace.violated("a worker's message cannot be sent: " + frame.error().message);
  send_(*this, *std::move(frame));
}

void Machine::carry_out(const worker::SendJoin& effect) {
  capnp::MallocMessageBuilder builder;
  worker::write(builder, identity_, effect, std::vector<RankKey>());
  send_message(builder);
}

void Machine::carry_out(const worker::StartRank& effect) {
  const worker::StartOrder& order = *effect.order;
  const auto& asked = order.ranks[effect.index];
  const RankKey key{order.fence, asked.rank};
  Dice& dice = world_.dice;
  Rank rank{order.job, order.fence, asked.rank, asked.gpus};
  rank.life = next_life_++;
  rank.steps_left = static_cast<std::int64_t>(dice.between(1, 8));
  if (!world_.is_calm) {
    if (dice.chance(world_.plan.fails)) rank.exit_code = dice.chance(100) ? 2 : 1;
    rank.is_hung = dice.chance(world_.plan.hangs);
    rank.is_deaf = dice.chance(world_.plan.deaf);
  }
  const std::uint64_t life = rank.life;
  ranks_[key] = std::move(rank);
  world_.time.after(dice.ms(1, 200), [this, key, life] { begin(key, life); });
}

void Machine::begin(const RankKey& key, std::uint64_t life) {
  Rank* const rank = find(key, life);
  if (rank == nullptr) return;
  rank->is_running = true;
  world_.trace.note(name() + " runs " + shown(key));
  world_.one_owner.started(name(), rank->job, rank->fence, rank->gpus);
  feed(worker::RankStarted{key, static_cast<std::int64_t>(life)});
  work(key, life);
}

void Machine::work(const RankKey& key, std::uint64_t life) {
  const std::uint64_t longest = world_.plan.is_slow ? 120'000 : 3'000;
  world_.time.after(world_.dice.ms(50, longest), [this, key, life] {
    Rank* const rank = find(key, life);
    if (rank == nullptr || !rank->is_running) return;
    if (rank->is_hung) return world_.trace.probe("rank hangs");
    if (--rank->steps_left > 0) {
      ++rank->step;
      if (key.rank.value == 0)
        feed(worker::RankSaid{key, worker::Checkpoint{rank->step, "/store/step", "hash", 1}});
      return work(key, life);
    }
    if (key.rank.value == 0 && rank->exit_code == 0)
      feed(worker::RankSaid{key,
                            worker::Artifact{"out", "/store/" + std::to_string(key.fence.value), "hash"}});
    if (Rank* const still = find(key, life)) end(key, still->exit_code, 0);
  });
}

void Machine::end(const RankKey& key, std::int32_t exit_code, std::int32_t signal) {
  const auto found = ranks_.find(key);
  if (found == ranks_.end()) return;
  world_.trace.note(name() + " ends " + shown(key) + " exit " + std::to_string(exit_code) + " signal " +
                    std::to_string(signal));
  stop_running(found->second);
  const std::string fault = gpu_fault_of(found->second);
  ranks_.erase(found);
  if (exit_code == 0) world_.right_ends.rank_done(key.fence, key.rank);
  if ((exit_code == 1 || exit_code == 2) && fault.empty())
    world_.right_ends.rank_failed(key.fence, exit_code);
  feed(worker::RankEnded{key, exit_code, signal, false, fault});
}

void Machine::stop_running(Rank& rank) {
  if (std::exchange(rank.is_running, false)) world_.one_owner.ended(name(), rank.job, rank.fence, rank.gpus);
}

Machine::Rank* Machine::find(const RankKey& key, std::uint64_t life) {
  const auto found = ranks_.find(key);
  return found == ranks_.end() || found->second.life != life ? nullptr : &found->second;
}

void Machine::carry_out(const worker::TerminateRank& effect) {
  const auto found = ranks_.find(effect.key);
  if (found == ranks_.end()) return;
  if (found->second.is_deaf || found->second.is_hung) return world_.trace.probe("rank does not hear SIGTERM");
  world_.time.after(world_.dice.ms(10, 1'500), [this, key = effect.key, life = found->second.life] {
    const Rank* const rank = find(key, life);
    if (rank == nullptr) return;
    world_.trace.probe("rank saved itself after SIGTERM");
    end(key, 75, 0);
  });
}

void Machine::carry_out(const worker::KillRank& effect) {
  const auto found = ranks_.find(effect.key);
  if (found == ranks_.end()) return;
  world_.time.after(world_.dice.ms(0, 50), [this, key = effect.key, life = found->second.life] {
    if (find(key, life) == nullptr) return;
    world_.trace.probe("rank killed");
    end(key, -1, SIGKILL);
  });
}

void Machine::carry_out(const worker::ExtendLease& effect) {
  guard_deadline_ = effect.kill_at;
  world_.time.at(global(effect.kill_at), [this, incarnation = incarnation()] { guards_look(incarnation); });
}

// Also while the daemon is stopped.
void Machine::guards_look(std::uint64_t incarnation) {
  if (!is_up() || incarnation != this->incarnation() || !guard_deadline_ || *guard_deadline_ > local_now())
    return;
  std::vector<RankKey> keys;
  for (const auto& [key, rank] : ranks_) keys.push_back(key);
  for (const RankKey& key : keys) {
    world_.trace.probe("guard killed a rank");
    end(key, -1, SIGKILL);
  }
}

void Machine::carry_out(const worker::RefuseStart& effect) {
  if (effect.reason.ends_with("for too long")) world_.trace.probe("order to start came too late");
  world_.trace.note(name() + " refuses " + std::to_string(effect.fence.value) + ": " + effect.reason);
}

}  // namespace paddock::simulation
