// tests/coordinator/stepped_coordinator.h – the real coordinator on the real database, but its clock stands still until the
// test moves it, and messages are handed to it one by one. It can die between two turns, as by kill -9.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "coordinator/coordinator.h"
#include "storage/database.h"
#include "tests/temporary_folder.h"

namespace paddock::coordinator {

class SteppedCoordinator : private Clock,
                           private wire::Transport,
                           private Admission,
                           private Space,
                           private Logs {
 public:
  explicit SteppedCoordinator(WallTime begin) : wall_(begin) {
    log_.quiet();
    given.keep_ended = std::chrono::hours(10'000);  // what a test looks at stays
  }

  void start() {
    auto database = storage::Database::open(folder_.path() / "db");
    ASSERT_TRUE(database) << database.error().message;
    database_ = std::make_unique<storage::Database>(*std::move(database));
    CoordinatorOptions options = given;
    options.state = folder_.path();
    options.store = folder_.path() / "store";
    auto opened = Coordinator::open(options, {*this, *database_, *this, *this, *this, *this}, log_);
    ASSERT_TRUE(opened) << opened.error().message;
    coordinator_ = *std::move(opened);
    turn();
  }
  void die() {
    coordinator_.reset();
    database_.reset();
  }
  void pass(Millis time) {
    wall_.unix_ms += time.count();
    now_ = now_ + time;
  }
  // Only the clock on the wall is set, as an operator may.
  void set_wall(WallTime wall) { wall_ = wall; }
  void turn() {
    const auto taken = coordinator_->take_turn();
    ASSERT_TRUE(taken) << taken.error().message;
  }
  // While time passes, a turn whenever the coordinator says that it wants one.
  void live(Millis time) {
    const Instant end = now_ + time;
    while (now_ < end) {
      pass(std::clamp(coordinator_->time_to_wait(), Millis(1), end - now_));
      turn();
    }
  }
  // Comes with the next turn.
  void leave(const std::function<void(wire::Message::Builder)>& fill) {
    capnp::MallocMessageBuilder builder;
    fill(wire::begin(builder));
    inbox_.push_back(*wire::encode(builder));
  }
  wire::Envelope ask(const std::function<void(wire::Message::Builder)>& fill) {
    capnp::MallocMessageBuilder builder;
    fill(wire::begin(builder, ++requests_));
    inbox_.push_back(*wire::encode(builder));
    outbox_.clear();
    turn();
    EXPECT_EQ(outbox_.size(), 1u);
    auto answer = *wire::decode(outbox_.back());
    outbox_.clear();
    return answer;
  }
  // What needs no answer, or several.
  void tell(const std::function<void(wire::Message::Builder)>& fill) {
    capnp::MallocMessageBuilder builder;
    fill(wire::begin(builder));
    inbox_.push_back(*wire::encode(builder));
    turn();
    outbox_.clear();
  }
  // A worker of this name with two cores has joined.
  void join(const std::string& node) {
    tell([&](wire::Message::Builder message) {
      auto join = message.initJoin();
      join.setNode(node);
      join.setIncarnation(1);
      join.setAddress("127.0.0.1");
      join.setCpus(2);
      join.setMemoryBytes(1u << 30);
      join.initPorts(1).set(0, 29'500);
      join.setSequence(1);
    });
  }
  wire::Envelope submit(const std::string& spec, const std::string& token) {
    return ask([&](wire::Message::Builder message) {
      auto submit = message.initSubmit();
      submit.setSpec(spec);
      submit.setFile("g.yaml");
      submit.setToken(token);
    });
  }

  Coordinator& coordinator() { return *coordinator_; }
  const scheduler::Cluster& cluster() const { return coordinator_->cluster(); }
  storage::Tables& tables() { return *database_; }
  WallTime wall() const override { return wall_; }

  CoordinatorOptions given;  // of the next start
  Requester requester{{}, true};
  bool has_room = true;

 private:
  Instant now() const override { return now_; }
  std::optional<wire::Received> receive() override {
    if (inbox_.empty()) return std::nullopt;
    auto envelope = wire::decode(inbox_.front());
    inbox_.pop_front();
    return wire::Received{"test", *std::move(envelope), ""};
  }
  Result<void> send(const wire::Peer&, capnp::MessageBuilder& builder) override {
    TRY_ASSIGN(wire::Frame frame, wire::encode(builder), "sending");
    outbox_.push_back(std::move(frame));
    return {};
  }
  std::optional<Requester> who(const std::string&) const override { return requester; }
  void look() override {}
  Result<void> check() const override {
    return has_room ? Result<void>() : fail(Code::kExhausted, "the disk is full");
  }
  bool is_whole() const override { return has_room; }
  std::uint64_t size(const LogKey&) const override { return 0; }
  Result<void> write(const LogKey&, std::uint64_t, std::span<const std::byte>) override { return {}; }
  Result<Piece> read(const LogKey&, std::uint64_t) const override { return Piece{}; }
  Result<bool> remove_some(GraphId, std::size_t) override { return true; }

  TemporaryFolder folder_;
  Log log_;
  WallTime wall_;
  Instant now_{1'000};
  std::unique_ptr<storage::Database> database_;
  std::unique_ptr<Coordinator> coordinator_;
  std::deque<wire::Frame> inbox_;
  std::deque<wire::Frame> outbox_;
  std::uint64_t requests_ = 0;
};

}  // namespace paddock::coordinator
