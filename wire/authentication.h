// wire/authentication.h – who may open a connection: the handler that ZeroMQ asks in each CURVE handshake (ZAP, RFC 27).
// It answers by the peer's public key alone; a peer that it does not admit never gets a message through. What an
// admitted one may ask is not decided here: each message carries its sender's key (Received::key).
// Threads: one owner, the server's. ZeroMQ's own thread asks over a socket within the process, so an owner that is busy
// makes a handshake wait, nothing else.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "wire/keys.h"

namespace paddock::wire {

// What a server needs to be known and to know its peers.
struct ServerSecurity {
  KeyPair keys;
  // Asked with a public key in each handshake.
  std::function<bool(const std::string& public_key)> admits;
};

// What a client needs: who it is, and whom it expects to meet.
struct ClientSecurity {
  KeyPair keys;
  std::string server_key;
};
// `secret_file`: the client's own; `server`: as to_public_key().
Result<ClientSecurity> read_client_security(const std::filesystem::path& secret_file,
                                            const std::string& server);

class Authentication {
 public:
  // One in a context, opened before the server binds. kUnavailable: ZeroMQ refuses.
  static Result<std::unique_ptr<Authentication>> open(void* context,
                                                      std::function<bool(const std::string&)> admits);
  ~Authentication();
  Authentication(const Authentication&) = delete;
  Authentication& operator=(const Authentication&) = delete;

  void* socket() const { return socket_; }  // to wait for: something can be read when a handshake asks
  // Answers all that ask now; never blocks.
  void answer_all();
  std::uint64_t admitted() const { return admitted_; }
  std::uint64_t turned_away() const { return turned_away_; }

 private:
  Authentication(void* socket, std::function<bool(const std::string&)> admits)
      : socket_(socket), admits_(std::move(admits)) {}

  void* const socket_;  // REP
  const std::function<bool(const std::string&)> admits_;
  std::uint64_t admitted_ = 0;
  std::uint64_t turned_away_ = 0;
};

}  // namespace paddock::wire
