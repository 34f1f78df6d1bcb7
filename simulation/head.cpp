#include "simulation/head.h"

#include "scheduler/invariants.h"

namespace paddock::simulation {

Head::Head(World& world, Deliver deliver, std::function<void()> reopened)
    : world_(world), deliver_(std::move(deliver)), reopened_(std::move(reopened)), disk_(world.dice) {
  log_.quiet();
  options_.state = "/simulated/state";
  options_.store = "/simulated/store";
  options_.lease = world.plan.lease;
  options_.snapshot_events = world.plan.snapshot_events;
  options_.keep_ended = world.plan.keep_ended;
  if (const auto& retention = world.plan.retention) {
    options_.keep_archive = retention->keep_archive;
    options_.archive_jobs_max = retention->archive_jobs_max;
    if (retention->ended_jobs_max > 0) options_.ended_jobs_max = retention->ended_jobs_max;
  }
}

void Head::start() {
  if (is_up()) return;
  disk_.fill(disk_.is_full() && !world_.is_calm);
  auto opened = coordinator::Coordinator::open(options_, {*this, disk_, *this, *this, *this, *this}, log_);
  if (!opened) {
    if (!disk_.is_full())
      return world_.trace.violated("the coordinator does not start: " + opened.error().message);
    disk_.crash();
    world_.time.after(Millis(1'000), [this] { start(); });
    return;
  }
  coordinator_ = *std::move(opened);
  check_all(false);
  is_paused_ = false;
  world_.trace.note("coordinator starts");
  reopened_();
  turn_at(world_.time.now());
}

void Head::crash() {
  if (!is_up()) return;
  coordinator_.reset();
  inbox_.clear();
  turn_at_ = Instant{-1};
  const bool is_lost = disk_.crash();
  world_.kept.crashed();
  world_.trace.note(std::string("coordinator crashes") + (is_lost ? ", what was not synced is lost" : ""));
  world_.trace.probe("coordinator crashed");
  world_.time.after(world_.dice.ms(10, world_.is_calm ? 100 : 20'000), [this] { start(); });
}

void Head::pause(Millis time) {
  if (!is_up() || is_paused_) return;
  is_paused_ = true;
  if (time > world_.plan.lease) world_.trace.probe("coordinator stopped for longer than a lease");
  world_.trace.note("coordinator is stopped for " + std::to_string(time.count()) + " ms");
  world_.time.after(time, [this, pause = ++pauses_] {
    if (pause == pauses_ && std::exchange(is_paused_, false)) turn_at(world_.time.now());
  });
}

void Head::fill_disk(Millis time) {
  disk_.fill(true);
  world_.trace.note("the coordinator's disk is full");
  world_.time.after(time, [this] { disk_.fill(false); });
}

void Head::calm() {
  disk_.fill(false);
  is_paused_ = false;
  start();
  turn_at(world_.time.now());
}

void Head::receive(const wire::Peer& peer, wire::Frame frame) {
  if (!is_up()) return;
  inbox_.emplace_back(peer, std::move(frame));
  turn_at(world_.time.now());
}

std::optional<wire::Received> Head::receive() {
  while (!inbox_.empty()) {
    auto [peer, frame] = std::move(inbox_.front());
    inbox_.pop_front();
    auto envelope = wire::decode(frame);
    if (envelope) return wire::Received{peer, *std::move(envelope), ""};
    world_.trace.violated("a peer sent what nobody can read: " + envelope.error().message);
  }
  return std::nullopt;
}

Result<void> Head::send(const wire::Peer& peer, capnp::MessageBuilder& builder) {
  TRY_ASSIGN(wire::Frame frame, wire::encode(builder), "sending");
  if (!deliver_(peer, std::move(frame))) return fail(Code::kNotFound, "the connection is gone");
  return {};
}

Result<void> Head::check() const {
  if (!disk_.is_full()) return {};
  world_.trace.probe("submission refused by a full disk");
  return fail(Code::kExhausted, "the simulated disk is full");
}

void Head::turn_at(Instant when) {
  if (turn_at_ >= world_.time.now() && turn_at_ <= when) return;
  turn_at_ = when;
  world_.time.at(when, [this, when] {
    if (turn_at_ != when) return;
    turn_at_ = Instant{-1};
    turn();
  });
}

void Head::turn() {
  if (!is_up() || is_paused_) return;
  if (const auto taken = coordinator_->take_turn(); !taken) {
    if (!disk_.is_broken()) world_.trace.violated("the coordinator gives up: " + taken.error().message);
    world_.trace.probe("coordinator died in a write");
    return crash();
  }
  check_all(true);
  // Few turns leave anything unsynced, so a crash at random would seldom meet one.
  if (world_.plan.crash_of_coordinator > Millis(0) && !world_.is_calm && disk_.has_unsynced() &&
      world_.dice.chance(100))
    return crash();
  turn_at(world_.time.now() + std::max(coordinator_->time_to_wait(), Millis(inbox_.empty() ? 1 : 0)));
}

// Of the output that ranks have left, which nobody writes here: it comes off in pieces, and the disk may refuse.
Result<bool> Head::remove_some(GraphId graph, std::size_t) {
  if (!world_.is_calm && world_.dice.chance(100))
    return fail(Code::kUnavailable, "the simulated disk refuses to remove output");
  if (world_.dice.chance(300)) return false;
  world_.kept.removed_output(graph);
  return true;
}

void Head::check_all(bool was_turn) {
  const scheduler::Cluster& cluster = coordinator_->cluster();
  for (const std::string& broken : scheduler::check_invariants(cluster))
    world_.trace.violated("the cluster's invariant " + broken);
  world_.kept.look(cluster, disk_, options_, wall());
  world_.right_ends.look(cluster, world_.kept.take_unseen());
  world_.nothing_lost.look(cluster, world_.kept);
  world_.quotas.look(cluster);
  world_.rare_things.look(cluster);
  if (world_.plan.is_saturated) world_.fair_share.look(cluster, world_.plan.tenants, world_.time.now());
  world_.each_time_once.look(cluster);
  world_.faulty_gpus.look(cluster);
  world_.reserved.look(cluster, wall(), was_turn);
}

}  // namespace paddock::simulation
