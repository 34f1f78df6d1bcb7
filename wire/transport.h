// wire/transport.h – how the coordinator hears and answers: the seam between it and ZeroMQ (Server in wire/socket.h), so
// that a simulation can put a network of its own there. Threads: one owner.
#pragma once

#include <capnp/message.h>

#include <optional>
#include <string>

#include "base/result.h"
#include "wire/envelope.h"

namespace paddock::wire {

// The routing id of a connection: opaque, new with every connection, so remember it only with the message
// that told it.
using Peer = std::string;

struct Received {
  Peer peer;
  Envelope envelope;
  std::string key;  // the sender's public key, proven by its handshake; "": the socket is plain
};

class Transport {
 public:
  virtual ~Transport() = default;
  // The next good message that is already here, if any; never blocks.
  virtual std::optional<Received> receive() = 0;
  // Never blocks. kNotFound: that connection is gone. kUnavailable: its queue is full. Otherwise as encode().
  virtual Result<void> send(const Peer& peer, capnp::MessageBuilder& builder) = 0;
};

}  // namespace paddock::wire
