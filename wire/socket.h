// wire/socket.h – Messages over ZeroMQ: a Server (ROUTER) that the coordinator binds, a Client (DEALER) for
// everyone else. One message is one frame of docs/protocol.md. A frame that cannot be read is counted and
// dropped and hurts nobody else; a Server answers an unknown version or kind with `refused` by itself, so
// what receive() returns is always known. Threads: one owner each; ZeroMQ's own thread stays behind the
// socket. Errors: nothing throws outward; linger is 0, so closing never waits and what was not sent is gone
// (protocols above send again until acknowledged).
#pragma once

#include <capnp/message.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "wire/authentication.h"
#include "wire/connection_watch.h"
#include "wire/envelope.h"
#include "wire/transport.h"

namespace paddock::wire {

// What a server queues for one peer that does not read; each may have limits::kMessageBytesMax. After 30 s in which the
// peer's machine takes nothing of it, the connection is closed.
inline constexpr int kQueuedAnswersMax = 256;

// Since the socket was opened.
struct SocketCounters {
  std::uint64_t received = 0;  // good messages handed out
  std::uint64_t sent = 0;
  std::uint64_t malformed = 0;  // no Message in it, more than one frame, broken pointers, text not UTF-8
  std::uint64_t oversized =
      0;  // above limits::kMessageBytesMax; above twice that ZeroMQ closes the connection
  std::uint64_t unknown_version = 0;
  std::uint64_t unknown_kind = 0;
  std::uint64_t undeliverable = 0;  // the peer was gone, or took too long to read what was sent before
};

// What a wait() ended with; nothing set: the time ran out, or a signal came.
struct Ready {
  bool message = false;  // receive() has something to look at
  std::vector<int>
      readable;  // those of the given descriptors that can be read or were closed at the other end
};

class Socket;  // the ZeroMQ socket behind either; socket.cpp

class Server final : public Transport {
 public:
  // `endpoint`: "tcp://127.0.0.1:7373", or with port * for a free one. kUnavailable: it cannot be bound.
  // kInvalid: no such endpoint, or a plain one that other machines reach.
  static Result<Server> open(const std::string& endpoint,
                             std::optional<ServerSecurity> security = std::nullopt);
  Server(Server&&) noexcept;
  Server& operator=(Server&&) noexcept;
  ~Server() override;

  // The endpoint with its real port.
  const std::string& endpoint() const;
  // Blocks until a message or a descriptor is ready or the time is over. A negative timeout waits without
  // end.
  Result<Ready> wait(Millis timeout, std::span<const int> descriptors = {});
  // The next good message that is already here, if any; never blocks. Bad frames are counted and skipped.
  std::optional<Received> receive() override;
  // Never blocks. kNotFound: that connection is gone. kUnavailable: its queue is full (it does not read).
  // Otherwise as encode().
  Result<void> send(const Peer& peer, capnp::MessageBuilder& builder) override;
  const SocketCounters& counters() const;

 private:
  explicit Server(std::unique_ptr<Socket> socket);
  std::unique_ptr<Socket> socket_;
};

class Client {
 public:
  // Begins to connect and keeps trying in the background for as long as the Client lives. kInvalid: no such
  // endpoint, or a plain one on another machine.
  static Result<Client> open(const std::string& endpoint,
                             std::optional<ClientSecurity> security = std::nullopt);
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  // As Server::wait; also wakes, with nothing set, when connections() has changed.
  Result<Ready> wait(Millis timeout, std::span<const int> descriptors = {});
  std::optional<Envelope> receive();
  // Blocks up to `timeout` for a connection to send on. kUnavailable: there is none (and the likely reason), or its
  // queue is full; nothing was queued. kDenied: the server does not admit our key. Otherwise as encode().
  Result<void> send(capnp::MessageBuilder& builder, Millis timeout = Millis(0));
  // Sends a request and waits for the message with the same request id; others that come meanwhile are
  // dropped. A `refused` answer comes back as its Error. kUnavailable: no answer in time.
  Result<Envelope> ask(capnp::MessageBuilder& builder, Millis timeout);
  // How long destruction may wait for what was given to send() to leave; 0 until set.
  void linger(Millis time);
  // How often a connection was made: when it grows, whatever was under way before may be lost.
  std::uint64_t connections() const;
  Obstacle obstacle() const;
  // The error that says so, with what to do; for kNone that there is no connection now.
  Error describe_obstacle() const;
  const SocketCounters& counters() const;

 private:
  explicit Client(std::unique_ptr<Socket> socket);
  std::unique_ptr<Socket> socket_;
};

}  // namespace paddock::wire
