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

// kInvalid: nothing that a coordinator says to a worker; a refusal comes back as the Error that it carries.
Result<Event> to_event(wire::Message::Reader message);

void write(capnp::MessageBuilder& builder, const Identity& identity, const SendJoin& join);
void write(capnp::MessageBuilder& builder, const Identity& identity, const SendHeartbeat& heartbeat);
void write(capnp::MessageBuilder& builder, const Identity& identity, const SendReports& reports);
void write(capnp::MessageBuilder& builder, const Identity& identity, const SendLeave& leave);
void write(capnp::MessageBuilder& builder, const Identity& identity, const RankKey& key,
           const LogPiece& piece);

}  // namespace paddock::worker
