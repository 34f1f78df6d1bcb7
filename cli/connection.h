// cli/connection.h – questions to the coordinator and its answers.
// Threads: one owner. Errors: kUnavailable when nobody answers, with one sentence on what to do; a refusal as
// its Error.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "cli/command.h"
#include "cli/target.h"
#include "wire/envelope.h"
#include "wire/socket.h"

namespace paddock::cli {

class Connection {
 public:
  using Fill = std::function<void(wire::Message::Builder)>;

  // As resolve(): no endpoint is given and none stands in the state folder, or keys are missing. Does not wait for an
  // answer yet.
  static Result<Connection> open(const Target& target);

  // Fills a message and waits for the answer of the kind `expected`.
  Result<wire::Envelope> ask(wire::Message::Which expected, const Fill& fill);

  // As ask(), but keeps asking with growing pauses while nobody answers; what is asked must be harmless when
  // repeated. Says once on standard error that it waits. The endpoint is read again, since the coordinator
  // may come back elsewhere.
  Result<wire::Envelope> ask_until_answered(wire::Message::Which expected, const Fill& fill);

  // Waits, waking early when something happens on the connection.
  void pause(Millis time);

 private:
  Connection(Target target, Address address, wire::Client client)
      : target_(std::move(target)), address_(std::move(address)), client_(std::move(client)) {}
  void reopen_if_moved();

  Target target_;
  Address address_;
  wire::Client client_;
  std::uint64_t last_request_ = 0;
  bool is_silent_ = false;  // nobody answered the last question; a refusal is an answer, whatever its code
};

// One question, on a connection of its own. Errors as Connection::open and ask.
Result<wire::Envelope> ask(const Target& target, wire::Message::Which expected, const Connection::Fill& fill);

}  // namespace paddock::cli
