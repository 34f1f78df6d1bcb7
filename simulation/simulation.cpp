#include "simulation/simulation.h"

#include <chrono>
#include <deque>
#include <map>
#include <utility>

#include "simulation/client.h"
#include "simulation/head.h"
#include "simulation/machine.h"
#include "simulation/operator.h"
#include "simulation/repeater.h"
#include "simulation/timekeeper.h"
#include "simulation/world.h"

namespace paddock::simulation {
namespace {

// More than any backing off, cordon and time limit of a drawn graph can take together.
constexpr Millis kCalmFor = std::chrono::hours(6);

class Simulation {
 public:
  Simulation(std::uint64_t seed, std::ostream* to)
      : world_(seed, to),
        head_(
            world_,
            [this](const wire::Peer& peer, wire::Frame frame) { return deliver(peer, std::move(frame)); },
            [this] { reconnect_all(); }),
        operator_(world_, [this](Operator& from,
                                 wire::Frame frame) { to_coordinator(from.name(), std::move(frame)); }),
        timekeeper_(world_, [this](const std::string& from,
                                   wire::Frame frame) { to_coordinator(from, std::move(frame)); }),
        repeater_(world_, [this](const std::string& from, wire::Frame frame) {
          to_coordinator(from, std::move(frame));
        }) {
    for (std::size_t i = 0; i < world_.plan.nodes.size(); ++i) {
      machines_.emplace_back(
          world_, "n" + std::to_string(i), world_.plan.nodes[i],
          [this](Machine& from, wire::Frame frame) { to_coordinator(from.name(), std::move(frame)); },
          [this](Machine& machine) {
            cut(machine.name());
            world_.time.after(world_.dice.ms(200, 5'000), [&machine] { machine.start(); });
          });
    }
    for (std::uint32_t i = 0; i < world_.plan.graphs; ++i) {
      clients_.emplace_back(
          world_, "c" + std::to_string(i), draw_graph(world_.dice, world_.plan, i),
          [this](Client& from, wire::Frame frame) { to_coordinator(from.name(), std::move(frame)); });
    }
  }

  void run() {
    begin();
    const Instant end_of_faults = world_.time.now() + world_.plan.faults_for;
    while (world_.trace.violations().empty() && world_.time.step(end_of_faults)) {
    }
    if (!world_.trace.violations().empty()) return;
    calm();
    const Instant end = world_.time.now() + kCalmFor;
    while (world_.trace.violations().empty() && !is_over() && world_.time.step(end)) {
    }
    if (world_.trace.violations().empty() && !is_over()) tell_what_is_open();
  }
  Outcome outcome(std::uint64_t seed) const {
    const Trace& trace = world_.trace;
    return {seed, trace.hash(), trace.lines(), trace.violations(), trace.probes()};
  }

 private:
  void begin() {
    head_.start();
    for (Machine& machine : machines_) machine.start();
    Dice& dice = world_.dice;
    const auto most = static_cast<std::uint64_t>(world_.plan.faults_for.count());
    world_.time.after(dice.ms(0, world_.plan.is_saturated ? 0 : 1'000), [this] { operator_.begin(); });
    for (Client& client : clients_) {
      world_.time.after(dice.ms(0, world_.plan.is_saturated ? 0 : most / 2), [&client] { client.submit(); });
      if (!world_.plan.is_saturated && dice.chance(250))
        world_.time.after(dice.ms(0, most), [&client] { client.cancel(); });
      if (world_.plan.retention && dice.chance(500))
        world_.time.after(dice.ms(most / 4, most), [&client] { client.submit_again(); });
    }
    timekeeper_.submit();
    const Plan& plan = world_.plan;
    again_and_again(plan.crash_of_coordinator, [this] {
      if (world_.dice.chance(500)) {
        head_.crash_in_next_write();
      } else {
        head_.crash();
      }
    });
    again_and_again(plan.crash_of_worker, [this] { crash(any_machine()); });
    again_and_again(plan.pause_of_coordinator, [this] { head_.pause(pause_time()); });
    again_and_again(plan.pause_of_worker, [this] { any_machine().pause(pause_time()); });
    again_and_again(plan.partition, [this] { part(any_machine().name()); });
    again_and_again(plan.drain, [this] { operator_.steer_node(); });
    again_and_again(plan.quota, [this] { operator_.steer_tenant(); });
    again_and_again(plan.gpu_fault, [this] { break_gpu(any_machine()); });
    again_and_again(plan.reservation, [this] { operator_.steer_reservation(); });
    again_and_again(plan.repetition, [this] { repeater_.repeat_one(); });
    again_and_again(plan.full_disk, [this] { head_.fill_disk(pause_time()); });
  }

  // While faults last, at random times with this mean.
  void again_and_again(Millis every, std::function<void()> what) {
    if (every == Millis(0)) return;
    world_.time.after(world_.dice.ms(1, static_cast<std::uint64_t>(2 * every.count())),
                      [this, every, what = std::move(what)] {
                        if (world_.is_calm) return;
                        what();
                        again_and_again(every, what);
                      });
  }
  Millis pause_time() {
    return world_.dice.ms(100, static_cast<std::uint64_t>(3 * world_.plan.lease.count()));
  }
  Machine& any_machine() { return machines_[world_.dice.below(machines_.size())]; }
  void crash(Machine& machine) {
    machine.crash();
    cut(machine.name());
    world_.time.after(world_.dice.ms(200, 30'000), [this, &machine] {
      machine.start();
      // Some die again as soon as they have said that they are there, and are started again at once.
      if (world_.is_calm || !world_.dice.chance(200)) return;
      machine.crash();
      cut(machine.name());
      world_.time.after(world_.dice.ms(0, 500), [&machine] { machine.start(); });
    });
  }
  // Later somebody sees to it, and starts the worker again.
  void break_gpu(Machine& machine) {
    machine.break_gpu();
    world_.time.after(world_.dice.ms(2'000, 40'000), [&machine] { machine.stop(); });
  }
  // By now whatever the workers have told was heard.
  void cure_gpus() {
    for (Machine& machine : machines_) {
      if (!machine.has_ill_gpus()) continue;
      if (head_.is_up()) machine.check_told(*head_.cluster());
      machine.stop();
    }
  }
  void part(const std::string& node) {
    const std::uint64_t which = world_.dice.below(3);
    world_.trace.note(node + " is cut off, way " + std::to_string(which));
    if (which != 0) world_.network.block(node, kCoordinator, pause_time());
    if (which != 1) world_.network.block(kCoordinator, node, pause_time());
  }

  void calm() {
    world_.is_calm = true;
    world_.trace.note("faults stop");
    world_.network.heal();
    head_.calm();
    operator_.calm();
    for (Machine& machine : machines_) machine.calm();
    // Once nothing of what it sent before can still be under way.
    world_.time.after(3 * world_.plan.lease, [this] { timekeeper_.remove(); });
    world_.time.after(3 * world_.plan.lease, [this] { cure_gpus(); });
  }
  bool is_over() const {
    if (!head_.is_up()) return false;
    if (!timekeeper_.is_content() || !repeater_.is_content()) return false;
    if (world_.plan.retention && !world_.kept.is_settled(world_.plan.retention->keep_archive > Millis(0)))
      return false;
    for (const Machine& machine : machines_)
      if (machine.has_ill_gpus()) return false;
    for (const Client& client : clients_)
      if (!client.is_content()) return false;
    for (const auto& [id, graph] : head_.cluster()->graphs)
      if (graph.state == scheduler::GraphState::kActive) return false;
    // Also the nodes are as they were: all there, nothing of them taken or kept.
    for (const auto& [name, node] : head_.cluster()->nodes)
      if (!node.is_ready || node.free != scheduler::all_of(node.offer)) return false;
    if (head_.cluster()->nodes.size() < machines_.size() || !head_.cluster()->holds.empty()) return false;
    return !world_.one_owner.is_anything_running();
  }
  void tell_what_is_open() {
    std::string open = timekeeper_.is_content() ? "" : " " + timekeeper_.name();
    if (!repeater_.is_content()) open += " " + repeater_.name();
    if (world_.plan.retention && !world_.kept.is_settled(world_.plan.retention->keep_archive > Millis(0)))
      open += " old graphs";
    for (const Client& client : clients_)
      if (!client.is_content()) open += " client " + client.name();
    if (head_.is_up()) {
      for (const auto& [id, graph] : head_.cluster()->graphs)
        for (const auto& [name, job] : graph.jobs)
          if (!scheduler::is_terminal(job.state))
            open += " job " + std::to_string(id.value) + "/" + name.value + " (" +
                    std::string(name_of(job.state)) + ")";
    }
    world_.trace.violated("everything ends: still open" + (open.empty() ? " ranks" : open));
  }

  // Connections. Each has a number; its peer is "name#number". With a process at either end it dies: nothing comes to
  // that process any more, but what it had sent may still arrive, also after what its successor sends.
  wire::Peer peer_of(const std::string& name) { return name + "#" + std::to_string(connections_[name]); }
  void cut(const std::string& name) { ++connections_[name]; }
  void reconnect_all() {
    ++coordinators_;
    for (Machine& machine : machines_) {
      cut(machine.name());
      world_.time.after(world_.dice.ms(1, 500), [&machine] { machine.connected(); });
    }
    for (Client& client : clients_) cut(client.name());
    cut(operator_.name());
    cut(timekeeper_.name());
    cut(repeater_.name());
  }
  void to_coordinator(const std::string& name, wire::Frame frame) {
    const wire::Peer peer = peer_of(name);
    world_.network.send(name, kCoordinator, [this, peer, to = coordinators_, frame = std::move(frame)] {
      if (to == coordinators_) head_.receive(peer, frame);
    });
  }
  bool deliver(const wire::Peer& peer, wire::Frame frame) {
    const std::string name = peer.substr(0, peer.find('#'));
    if (peer != peer_of(name)) return false;
    world_.network.send(kCoordinator, name, [this, name, peer, frame = std::move(frame)] {
      if (peer != peer_of(name)) return;
      for (Machine& machine : machines_)
        if (machine.name() == name) machine.receive(frame);
      for (Client& client : clients_)
        if (client.name() == name) client.receive(frame);
      if (operator_.name() == name) operator_.receive(frame);
      if (timekeeper_.name() == name) timekeeper_.receive(frame);
      if (repeater_.name() == name) repeater_.receive(frame);
    });
    return true;
  }

  World world_;
  std::map<std::string, std::uint64_t> connections_;
  std::uint64_t coordinators_ = 0;  // so many have begun to listen
  std::deque<Machine> machines_;
  std::deque<Client> clients_;
  Head head_;
  Operator operator_;
  Timekeeper timekeeper_;
  Repeater repeater_;
};

}  // namespace

Outcome simulate(std::uint64_t seed, std::ostream* events) {
  Simulation simulation(seed, events);
  simulation.run();
  return simulation.outcome(seed);
}

const std::set<std::string>& probes_to_hit() {
  static const std::set<std::string> probes{"message stopped by a one-way partition",
                                            "message late",
                                            "worker crashed under a running rank",
                                            "worker stopped for longer than a lease",
                                            "coordinator stopped for longer than a lease",
                                            "coordinator crashed",
                                            "coordinator died in a write",
                                            "lease lapsed at the worker",
                                            "order to start came too late",
                                            "guard killed a rank",
                                            "rank hangs",
                                            "rank does not hear SIGTERM",
                                            "rank saved itself after SIGTERM",
                                            "rank killed",
                                            "submission answered twice",
                                            "submission refused by a full disk",
                                            "graph cancelled",
                                            "graph archived",
                                            "quota used up",
                                            "quota lowered below what is used",
                                            "node drained under a running rank",
                                            "gang began with fewer nodes than it wants",
                                            "gang asked to stop so that it can grow",
                                            "job preempted",
                                            "job taken from the cache",
                                            "job skipped because its condition does not hold",
                                            "time limit reached",
                                            "nodes kept for a gang",
                                            "all tenants had work for a while",
                                            "missed run made up for",
                                            "scheduled time passed over",
                                            "scheduled run waits for the one before",
                                            "quota of GPUs used up",
                                            "old graph removed from the archive",
                                            "graph removed from a full archive",
                                            "removal lost in a crash",
                                            "token of a removed graph used again",
                                            "GPU fell ill under a rank",
                                            "rank failed by an ill GPU",
                                            "worker stopped when it was asked to",
                                            "reservation began",
                                            "reservation ended",
                                            "reservation called off",
                                            "others were there when a reservation began",
                                            "job placed before a reservation",
                                            "graph taken up again",
                                            "what was done is not done again",
                                            "graph asked for again before its end",
                                            "graph asked for again after it was removed"};
  return probes;
}

}  // namespace paddock::simulation
