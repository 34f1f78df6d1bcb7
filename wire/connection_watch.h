// wire/connection_watch.h – how often a client's socket was connected, and why it is not: from the events that ZeroMQ
// publishes about it. Threads: one owner, the client's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

namespace paddock::wire {

// Why a client has no connection, as far as can be seen from its side.
enum class Obstacle {
  kNone,        // it has one, had one and lost it just now, or has not tried yet
  kSilence,     // nobody accepts at that address
  kHandshake,   // somebody accepts and breaks off: its key is another than expected, or one side is plain
  kTurnedAway,  // the server does not admit our key
};

class ConnectionWatch {
 public:
  // Before `socket` connects. kUnavailable: ZeroMQ refuses.
  static Result<std::unique_ptr<ConnectionWatch>> open(void* context, void* socket);
  ~ConnectionWatch();
  ConnectionWatch(const ConnectionWatch&) = delete;
  ConnectionWatch& operator=(const ConnectionWatch&) = delete;

  void* socket() const { return socket_; }  // to wait for: something can be read when something happened
  void drain();                             // looks at all that happened; never blocks
  std::uint64_t connections() const { return connections_; }
  Obstacle obstacle() const { return obstacle_; }

 private:
  explicit ConnectionWatch(void* socket) : socket_(socket) {}
  void take(std::uint16_t event);

  void* const socket_;  // PAIR
  std::uint64_t connections_ = 0;
  Obstacle obstacle_ = Obstacle::kNone;
};

// In one sentence, with what to do. kDenied when turned away, else kUnavailable.
Error describe(Obstacle obstacle, const std::string& endpoint, bool is_encrypted);

}  // namespace paddock::wire
