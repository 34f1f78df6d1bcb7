// simulation/head.h – the real coordinator on a simulated machine: its clock, disk, network, logs and space. It may be
// killed at any write and stopped for any time; then it is opened again from its journal. Threads: one owner.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "coordinator/coordinator.h"
#include "simulation/disk.h"
#include "simulation/world.h"

namespace paddock::simulation {

class Head final : private coordinator::Clock,
                   private wire::Transport,
                   private coordinator::Admission,
                   private coordinator::Space,
                   private coordinator::Logs {
 public:
  // `deliver`: a frame to the peer. False: that connection is gone.
  using Deliver = std::function<bool(const wire::Peer& peer, wire::Frame frame)>;
  // `reopened`: it is up again, so that all connections are new.
  Head(World& world, Deliver deliver, std::function<void()> reopened);

  void start();
  void receive(const wire::Peer& peer, wire::Frame frame);
  void crash();
  void crash_in_next_write() { disk_.die_in_next_write(); }
  void pause(Millis time);
  void fill_disk(Millis time);
  void calm();

  bool is_up() const { return coordinator_ != nullptr; }
  const scheduler::Cluster* cluster() const { return is_up() ? &coordinator_->cluster() : nullptr; }

 private:
  Instant now() const override { return world_.time.now(); }
  WallTime wall() const override { return world_.wall(); }
  std::optional<wire::Received> receive() override;
  Result<void> send(const wire::Peer& peer, capnp::MessageBuilder& builder) override;
  std::optional<coordinator::Requester> who(const std::string&) const override {
    return coordinator::Requester{{}, true};
  }
  void look() override {}
  Result<void> check() const override;
  bool is_whole() const override { return !disk_.is_full(); }
  std::uint64_t size(const coordinator::LogKey&) const override { return 0; }
  Result<void> write(const coordinator::LogKey&, std::uint64_t, std::span<const std::byte>) override {
    return {};
  }
  Result<Piece> read(const coordinator::LogKey&, std::uint64_t) const override { return Piece{}; }
  Result<bool> remove_some(GraphId graph, std::size_t) override;

  void turn();
  void turn_at(Instant when);
  // `was_turn`: after one, and not when it has just been opened.
  void check_all(bool was_turn);

  World& world_;
  const Deliver deliver_;
  const std::function<void()> reopened_;
  Log log_;
  Disk disk_;
  coordinator::CoordinatorOptions options_;
  std::unique_ptr<coordinator::Coordinator> coordinator_;  // none: it is down
  std::deque<std::pair<wire::Peer, wire::Frame>> inbox_;
  bool is_paused_ = false;
  std::uint64_t pauses_ = 0;
  Instant turn_at_{-1};
};

}  // namespace paddock::simulation
