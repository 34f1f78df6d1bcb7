// worker/messages.h – the protocol's messages as the agent's events, and its effects as messages.
// Threads: pure functions.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "wire/envelope.h"
#include "worker/agent.h"
#include "worker/identity.h"
#include "worker/log_tail.h"

namespace paddock::worker {

// How far the coordinator has a rank's log (LogPosition of the protocol); the loop's business, not the agent's.
struct LogTaken {
  RankKey key;
  std::uint64_t bytes = 0;
  bool again = false;
  bool unwanted = false;
};

// kInvalid: nothing that a coordinator says to a worker's agent; a refusal comes back as the Error that it carries.
Result<Event> to_event(wire::Message::Reader message);
std::vector<LogTaken> to_log_positions(wire::Message::Reader message);  // of a `logsTaken`

// `logs`: the ranks whose output is not sent yet.
void write(capnp::MessageBuilder& builder, const Identity& identity, const SendJoin& join,
           const std::vector<RankKey>& logs);
void write(capnp::MessageBuilder& builder, const Identity& identity, const SendHeartbeat& heartbeat);
void write(capnp::MessageBuilder& builder, const Identity& identity, const SendReports& reports);
void write(capnp::MessageBuilder& builder, const Identity& identity, const SendLeave& leave);
void write(capnp::MessageBuilder& builder, const Identity& identity, const RankKey& key,
           const LogPiece& piece);

}  // namespace paddock::worker
