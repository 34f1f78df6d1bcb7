#include "cli/connection.h"

#include <algorithm>
#include <fstream>
#include <iostream>

namespace paddock::cli {
namespace {

constexpr Millis kAnswerTime = std::chrono::seconds(5);
constexpr Millis kPauseFirst{200};
constexpr Millis kPauseMax = std::chrono::seconds(5);

Result<std::string> endpoint_of(const Target& target) {
  if (!target.coordinator.empty()) return target.coordinator;
  const auto path = target.state / "endpoint";
  std::ifstream file(path);
  std::string endpoint;
  if (!std::getline(file, endpoint) || endpoint.empty()) {
    return fail(Code::kUnavailable, "no coordinator: " + path.string() +
                                        " does not exist; start `paddock dev` here, or "
                                        "name one with --coordinator tcp://HOST:PORT");
  }
  return endpoint;
}

}  // namespace

Result<Connection> Connection::open(const Target& target) {
  auto endpoint = endpoint_of(target);
  if (!endpoint) return tl::unexpected<Error>(endpoint.error());
  TRY_ASSIGN(wire::Client client, wire::Client::open(*endpoint), "connecting");
  return Connection(target, *std::move(endpoint), std::move(client));
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
    return fail(Code::kUnavailable, "the coordinator at " + endpoint_ +
                                        " does not answer; is it running, and reachable from here?");
  }
  if (answer->message().which() != expected) {
    return fail(Code::kCorrupt,
                "the coordinator at " + endpoint_ + " answered something else; is it of another version?");
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

void Connection::pause(Millis time) {
  // What wakes it is looked at by the next question; that nothing could be waited for, too.
  [[maybe_unused]] const auto ready = client_.wait(time);
}

void Connection::reopen_if_moved() {
  const auto endpoint = endpoint_of(target_);
  if (!endpoint || *endpoint == endpoint_) return;
  auto client = wire::Client::open(*endpoint);
  if (!client) return;
  endpoint_ = *endpoint;
  client_ = *std::move(client);
}

}  // namespace paddock::cli
