#include "wire/connection_watch.h"

#include <zmq.h>

#include <cstring>

namespace paddock::wire {
namespace {

constexpr const char* kEndpoint = "inproc://connections";
constexpr int kWatched = ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                         ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH |
                         ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_CONNECTED;

Error zmq_error() {
  return Error{Code::kUnavailable, std::string("watching a socket: ") + zmq_strerror(zmq_errno())};
}

}  // namespace

Result<std::unique_ptr<ConnectionWatch>> ConnectionWatch::open(void* context, void* socket) {
  if (zmq_socket_monitor(socket, kEndpoint, kWatched) != 0) return tl::unexpected(zmq_error());
  void* const monitor = zmq_socket(context, ZMQ_PAIR);
  if (monitor == nullptr) return tl::unexpected(zmq_error());
  auto watch = std::unique_ptr<ConnectionWatch>(new ConnectionWatch(monitor));
  const int linger = 0;
  zmq_setsockopt(monitor, ZMQ_LINGER, &linger, sizeof linger);
  if (zmq_connect(monitor, kEndpoint) != 0) return tl::unexpected(zmq_error());
  return watch;
}

ConnectionWatch::~ConnectionWatch() {
  zmq_close(socket_);
}

void ConnectionWatch::take(std::uint16_t event) {
  switch (event) {
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      ++connections_;
      obstacle_ = Obstacle::kNone;
      break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      obstacle_ = Obstacle::kTurnedAway;
      break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_CONNECTED:  // until the handshake is through
      if (obstacle_ != Obstacle::kTurnedAway) obstacle_ = Obstacle::kHandshake;
      break;
    default:  // it tries again; what a handshake has shown says more than that
      if (obstacle_ == Obstacle::kNone) obstacle_ = Obstacle::kSilence;
  }
}

void ConnectionWatch::drain() {
  while (true) {
    // An event is two frames: its number with a value, and the address.
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    const bool is_here = zmq_msg_recv(&frame, socket_, ZMQ_DONTWAIT) >= 0;
    std::uint16_t event = 0;
    if (is_here && zmq_msg_size(&frame) >= sizeof event)
      std::memcpy(&event, zmq_msg_data(&frame), sizeof event);
    for (bool more = is_here && zmq_msg_more(&frame) != 0; more;)
      more = zmq_msg_recv(&frame, socket_, ZMQ_DONTWAIT) >= 0 && zmq_msg_more(&frame) != 0;
    zmq_msg_close(&frame);
    if (!is_here) return;
    take(event);
  }
}

Error describe(Obstacle obstacle, const std::string& endpoint, bool is_encrypted) {
  switch (obstacle) {
    case Obstacle::kTurnedAway:
      return {Code::kDenied,
              "the coordinator at " + endpoint +
                  " does not admit this key: an operator allows it there with `paddock keys allow`"};
    case Obstacle::kHandshake:
      return {Code::kUnavailable,
              "something at " + endpoint + " accepts connections and breaks them off: most likely " +
                  (is_encrypted ? "its key is not the one given as the coordinator's, or it runs without keys"
                                : "it takes only peers with keys, or is no coordinator")};
    default:
      return {Code::kUnavailable, "no connection to " + endpoint + ", or it takes no more: is it running?"};
  }
}

}  // namespace paddock::wire
