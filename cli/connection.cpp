#include "cli/connection.h"

#include <algorithm>
#include <iostream>

namespace paddock::cli {
namespace {

constexpr Millis kAnswerTime = std::chrono::seconds(5);
constexpr Millis kPauseFirst{200};
constexpr Millis kPauseMax = std::chrono::seconds(5);

}  // namespace

Result<Connection> Connection::open(const Target& target) {
  auto address = resolve(target);
  if (!address) return tl::unexpected<Error>(address.error());
  auto client = wire::Client::open(address->endpoint, address->security);
  if (!client) return tl::unexpected<Error>(client.error());
  return Connection(target, *std::move(address), *std::move(client));
}

Result<wire::Envelope> Connection::ask(wire::Message::Which expected, const Fill& fill) {
  capnp::MallocMessageBuilder builder;
  const std::uint64_t request = ++last_request_;
  fill(wire::begin(builder, request));
  const std::uint64_t answered_before = client_.counters().received;
  auto answer = client_.ask(builder, kAnswerTime);
  is_silent_ = false;
  if (!answer) {
    is_silent_ = answer.error().code == Code::kUnavailable && client_.counters().received == answered_before;
    if (!is_silent_) return answer;
    if (client_.obstacle() == wire::Obstacle::kHandshake)
      return tl::unexpected<Error>(client_.describe_obstacle());
    return fail(Code::kUnavailable, "the coordinator at " + address_.endpoint +
                                        " does not answer; is it running, and reachable from here?");
  }
  if (answer->message().which() != expected) {
    return fail(Code::kCorrupt, "the coordinator at " + address_.endpoint +
                                    " answered something else; is it of another version?");
  }
  return answer;
}

Result<wire::Envelope> Connection::ask_until_answered(wire::Message::Which expected, const Fill& fill) {
  Millis wait = kPauseFirst;
  while (true) {
    auto answer = ask(expected, fill);
    if (!is_silent_) {
      if (wait > kPauseFirst) std::cerr << "paddock: the coordinator is back" << std::endl;
      return answer;
    }
    if (wait == kPauseFirst)
      std::cerr << "paddock: " << answer.error().message << " Waiting for it." << std::endl;
    pause(wait);
    wait = std::min(wait * 2, kPauseMax);
    reopen_if_moved();
  }
}

Result<wire::Envelope> ask(const Target& target, wire::Message::Which expected,
                           const Connection::Fill& fill) {
  auto connection = Connection::open(target);
  if (!connection) return tl::unexpected<Error>(connection.error());
  return connection->ask(expected, fill);
}

void Connection::pause(Millis time) {
  // What wakes it is looked at by the next question; that nothing could be waited for, too.
  [[maybe_unused]] const auto ready = client_.wait(time);
}

void Connection::reopen_if_moved() {
  auto address = resolve(target_);
  if (!address || *address == address_) return;
  auto client = wire::Client::open(address->endpoint, address->security);
  if (!client) return;
  address_ = *std::move(address);
  client_ = *std::move(client);
}

}  // namespace paddock::cli
