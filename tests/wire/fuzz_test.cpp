// Random and mutated frames, into decode() and into a live Server: each is refused and counted, or can be
// read.
#include <capnp/message.h>
#include <gtest/gtest.h>
#include <kj/string.h>
#include <zmq.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "base/limits.h"
#include "base/random.h"
#include "tests/fuzz.h"
#include "tests/wire/example_message.h"
#include "wire/allow_list.h"
#include "wire/envelope.h"
#include "wire/socket.h"

namespace paddock::wire {
namespace {

constexpr std::uint64_t kSeed = 1;

Frame valid_frame(std::uint64_t index) {
  capnp::MallocMessageBuilder builder;
  if (index % 2 == 0) {
    write_example(builder, 1);
  } else {
    write_start_ranks(builder);
  }
  return encode(builder).value();
}

Frame random_frame(std::uint64_t index) {
  Draws draws(kSeed, index, Purpose::kBootstrap, 0);
  Frame frame(draws.below(200) * (draws.below(4) == 0 ? 1 : 8));
  for (auto& byte : frame) byte = static_cast<std::byte>(draws.u32());
  return frame;
}

// A valid frame after a few flips, copies of words over others, cuts.
Frame mutated_frame(std::uint64_t index) {
  Draws draws(kSeed, index, Purpose::kBootstrap, 1);
  Frame frame = valid_frame(index);
  for (std::uint64_t i = 0, times = 1 + draws.below(4); i < times && frame.size() >= 16; ++i) {
    const std::uint64_t words = frame.size() / 8;
    switch (draws.below(4)) {
      case 0:
        frame[draws.below(frame.size())] ^= static_cast<std::byte>(1u << draws.below(8));
        break;
      case 1:
        frame[draws.below(frame.size())] = static_cast<std::byte>(draws.u32());
        break;
      case 2:
        std::memcpy(&frame[draws.below(words) * 8], Frame(frame).data() + draws.below(words) * 8, 8);
        break;
      default:
        frame.resize(draws.below(8) == 0 ? draws.below(words) * 8 : frame.size());
    }
  }
  return frame;
}

Frame fuzz_frame(std::uint64_t index) {
  return index % 4 == 0 ? random_frame(index) : mutated_frame(index);
}

TEST(Fuzz, WhatDecodeAcceptsCanBeReadToTheLastField) {
  std::uint64_t accepted = 0;
  std::uint64_t frames = 0;
  for (Rounds rounds(100'000); rounds.next(); ++frames) {
    const std::uint64_t index = rounds.number();
    const Frame frame = fuzz_frame(index);
    const Result<Envelope> envelope = decode(frame);
    if (!envelope) continue;
    ++accepted;
    ASSERT_NO_THROW(static_cast<void>(kj::str(envelope->message()).size())) << "frame " << index;
  }
  EXPECT_GT(accepted,
            frames / 10);  // mutations that hurt nothing; fewer would mean that the fuzzing tests nothing
  EXPECT_LT(accepted, frames * 9 / 10);
}

TEST(Fuzz, AllowListsAreReadOrRefusedAndWhatIsReadIsWhole) {
  const std::string key(40, 'k');
  const std::string good = "# people\noperator ada " + key + "\n\nsubmitter bob " + std::string(40, 'b') +
                           " tenant=vision\nworker a " + std::string(40, 'w') + " node=a\n";
  ASSERT_TRUE(AllowList::parse(good, "list"));
  std::uint64_t read = 0;
  for (Rounds rounds(30'000); rounds.next();) {
    Draws draws = rounds.draws();
    const auto list = AllowList::parse(
        edited(good, draws, {"\n", " ", "\t", "#", "=", "node=", "tenant=", "worker ", "\r", "\xff"}),
        "list");
    if (!list) {
      ASSERT_FALSE(list.error().message.empty());
      continue;
    }
    ++read;
    for (const Grant& grant : list->grants()) {
      ASSERT_FALSE(grant.name.empty());
      ASSERT_EQ(grant.key.size(), 40u);
      ASSERT_EQ(list->find(grant.key)->name, grant.name);
      ASSERT_TRUE(grant.role != Role::kSubmitter || !grant.tenant.empty());
    }
  }
  EXPECT_GT(read, 100u);
}

// A peer that follows no rule but ZeroMQ's.
class RudePeer {
 public:
  explicit RudePeer(const std::string& endpoint)
      : context_(zmq_ctx_new()), socket_(zmq_socket(context_, ZMQ_DEALER)) {
    const int unbounded = 0;
    zmq_setsockopt(socket_, ZMQ_LINGER, &unbounded, sizeof unbounded);
    zmq_setsockopt(socket_, ZMQ_SNDHWM, &unbounded, sizeof unbounded);
    zmq_connect(socket_, endpoint.c_str());
  }
  ~RudePeer() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  RudePeer(const RudePeer&) = delete;
  RudePeer& operator=(const RudePeer&) = delete;
  void send(const Frame& frame, int flags = 0) { zmq_send(socket_, frame.data(), frame.size(), flags); }

 private:
  void* context_;
  void* socket_;
};

// Receives until a message with this request id has come; false: it never came.
bool receive_until(Server& server, std::uint64_t request_id) {
  while (true) {
    const auto ready = server.wait(std::chrono::seconds(60));
    if (!ready || !ready->message) return false;
    while (auto received = server.receive()) {
      if (received->envelope.message().getRequestId() == request_id) return true;
    }
  }
}

Frame last_frame(std::uint64_t request_id) {
  capnp::MallocMessageBuilder builder;
  begin(builder, request_id).setNodesRequest();
  return encode(builder).value();
}

TEST(Fuzz, AServerSurvivesRubbishCountsItAndStillHearsOthers) {
  constexpr std::uint64_t kFrames = 20'000;
  constexpr std::uint64_t kLast = 0xfeedfacecafeull;
  Server server = Server::open("tcp://127.0.0.1:*").value();
  RudePeer rude(server.endpoint());
  SocketCounters expected;
  for (std::uint64_t index = 0; index < kFrames; ++index) {
    const Frame frame = fuzz_frame(index);
    rude.send(frame);
    const auto envelope = decode(frame);
    if (!envelope) {
      ++expected.malformed;
    } else if (!is_known_version(envelope->message())) {
      ++expected.unknown_version;
    } else if (!is_known_kind(envelope->message())) {
      ++expected.unknown_kind;
    } else {
      ++expected.received;
    }
  }
  rude.send(valid_frame(0), ZMQ_SNDMORE);  // two frames in one message
  rude.send(valid_frame(0));
  ++expected.malformed;
  rude.send(Frame(limits::kMessageBytesMax + 8));
  ++expected.oversized;
  rude.send(last_frame(kLast));
  ++expected.received;
  ASSERT_TRUE(receive_until(server, kLast));
  EXPECT_EQ(server.counters().malformed, expected.malformed);
  EXPECT_EQ(server.counters().oversized, expected.oversized);
  EXPECT_EQ(server.counters().unknown_version, expected.unknown_version);
  EXPECT_EQ(server.counters().unknown_kind, expected.unknown_kind);
  EXPECT_EQ(server.counters().received, expected.received);

  rude.send(
      Frame(3 * limits::kMessageBytesMax));  // costs its sender the connection, and nobody else anything
  Client client = Client::open(server.endpoint()).value();
  capnp::MallocMessageBuilder question;
  begin(question, 5).setNodesRequest();
  ASSERT_TRUE(client.send(question, std::chrono::seconds(60)));
  EXPECT_TRUE(receive_until(server, 5));
}

}  // namespace
}  // namespace paddock::wire
