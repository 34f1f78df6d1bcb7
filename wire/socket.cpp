#include "wire/socket.h"

#include <zmq.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/limits.h"

namespace paddock::wire {
namespace {

// A frame up to this size is read, counted and refused; ZeroMQ closes the connection on a larger one.
constexpr std::int64_t kFrameBytesHardMax = 2 * static_cast<std::int64_t>(limits::kMessageBytesMax);
constexpr int kQueuedMessagesMax = 1'000;  // of a client, in either direction
constexpr int kQueuedQuestionsMax = 128;   // of one peer, that a server has not looked at yet
constexpr int kUnreadMsMax = 30'000;       // then the connection of a peer that takes nothing is closed
constexpr int kBadFramesPerReceive =
    1'000;  // then the caller's loop gets a turn, however fast the rubbish comes
constexpr int kHandshakeMs = 5'000;
// A dead machine closes no connection: ZeroMQ's own pings find out.
constexpr int kPingMs = 2'000;
constexpr int kPongMs = 8'000;
constexpr int kReconnectMs = 50;
constexpr int kReconnectMsMax = 1'000;

Error zmq_error(Code code, std::string_view doing) {
  return Error{code, std::string(doing) + ": " + zmq_strerror(zmq_errno())};
}

// "tcp://127.0.0.1:7373", "tcp://localhost:*", "tcp://[::1]:7373", "inproc://…", "ipc://…": whoever is on this machine.
bool is_on_this_machine(const std::string& endpoint) {
  constexpr std::string_view kTcp = "tcp://";
  if (!endpoint.starts_with(kTcp)) return true;  // what is no endpoint at all is told by ZeroMQ
  const std::string host = endpoint.substr(kTcp.size(), endpoint.rfind(':') - kTcp.size());
  const bool is_ipv4_loopback =
      host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string::npos;
  return is_ipv4_loopback || host == "localhost" || host == "[::1]";
}

Result<void> check_plain(const std::string& endpoint) {
  if (is_on_this_machine(endpoint)) return {};
  return fail(Code::kInvalid, endpoint +
                                  " is reached from other machines, so plain TCP is refused there: give keys "
                                  "(`paddock keys new`), or stay on tcp://127.0.0.1");
}

std::string address_text(const std::string& endpoint) {
  return "'" + endpoint + "' (like tcp://127.0.0.1:7373)";
}

// One part of a ZeroMQ message, closed when it goes.
class Part {
 public:
  Part() { zmq_msg_init(&message_); }
  ~Part() { zmq_msg_close(&message_); }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;
  bool receive(void* socket) { return zmq_msg_recv(&message_, socket, ZMQ_DONTWAIT) >= 0; }
  bool has_more() const { return zmq_msg_more(&message_) != 0; }
  // Of the connection that it came over, as its handshake was answered.
  std::string user_id() {
    const char* const id = zmq_msg_gets(&message_, "User-Id");
    return id == nullptr ? std::string() : std::string(id);
  }
  std::span<const std::byte> bytes() {
    return {static_cast<const std::byte*>(zmq_msg_data(&message_)), zmq_msg_size(&message_)};
  }

 private:
  zmq_msg_t message_;
};

}  // namespace

class Socket {
 public:
  enum class Role { kServer, kClient };

  static Result<std::unique_ptr<Socket>> open_server(const std::string& endpoint,
                                                     std::optional<ServerSecurity> security) {
    auto socket = std::unique_ptr<Socket>(new Socket(Role::kServer));
    TRY(socket->set_common_options(), address_text(endpoint));
    TRY(security ? socket->secure(*std::move(security)) : check_plain(endpoint), "opening a socket");
    TRY(socket->bind(endpoint), "opening a socket");
    return socket;
  }
  static Result<std::unique_ptr<Socket>> open_client(const std::string& endpoint,
                                                     const std::optional<ClientSecurity>& security) {
    auto socket = std::unique_ptr<Socket>(new Socket(Role::kClient));
    TRY(socket->set_common_options(), address_text(endpoint));
    TRY(security ? socket->secure(*security) : check_plain(endpoint), "opening a socket");
    TRY(socket->connect(endpoint), "opening a socket");
    return socket;
  }
  ~Socket() {
    watch_.reset();
    authentication_.reset();
    if (socket_ != nullptr) zmq_close(socket_);
    if (context_ != nullptr) zmq_ctx_term(context_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  Result<Ready> wait(Millis timeout, std::span<const int> descriptors);
  std::optional<Received> receive();
  Result<void> send(const Peer* peer, capnp::MessageBuilder& builder);
  Result<void> wait_for_room(Millis timeout);
  Error describe_obstacle() const { return describe(obstacle(), endpoint, is_encrypted_); }
  Obstacle obstacle() const { return watch_ == nullptr ? Obstacle::kNone : watch_->obstacle(); }
  std::uint64_t connections() const { return watch_ == nullptr ? 0 : watch_->connections(); }
  void linger(Millis time) { static_cast<void>(set(ZMQ_LINGER, static_cast<int>(time.count()))); }

  std::string endpoint;
  SocketCounters counters;

 private:
  explicit Socket(Role role)
      : role_(role),
        context_(zmq_ctx_new()),
        socket_(context_ == nullptr ? nullptr
                                    : zmq_socket(context_, role == Role::kServer ? ZMQ_ROUTER : ZMQ_DEALER)) {
  }

  Result<void> secure(ServerSecurity security);
  Result<void> secure(const ClientSecurity& security);
  Result<void> set_text(int option, const std::string& value);
  Result<void> bind(const std::string& wanted);
  Result<void> connect(const std::string& wanted);
  Result<void> set_common_options();
  Result<void> set(int option, int value);
  std::optional<Envelope> judge(const Peer& peer, Part& payload, bool is_single);

  const Role role_;
  void* const context_;
  void* const socket_;
  std::unique_ptr<ConnectionWatch> watch_;          // clients only
  std::unique_ptr<Authentication> authentication_;  // answers handshakes; servers with keys only
  bool is_encrypted_ = false;
};

Result<void> Socket::set_text(int option, const std::string& value) {
  if (zmq_setsockopt(socket_, option, value.c_str(), value.size()) != 0)
    return tl::unexpected(zmq_error(Code::kInvalid, "setting a key of a socket"));
  return {};
}

Result<void> Socket::secure(ServerSecurity security) {
  TRY(set(ZMQ_CURVE_SERVER, 1), "encrypting");
  TRY(set_text(ZMQ_CURVE_SECRETKEY, security.keys.secret_key), "encrypting");
  TRY(set_text(ZMQ_ZAP_DOMAIN, "paddock"), "encrypting");
  // Before the socket is bound: without a handler ZeroMQ would let everybody in.
  TRY_ASSIGN(authentication_, Authentication::open(context_, std::move(security.admits)), "encrypting");
  is_encrypted_ = true;
  return {};
}

Result<void> Socket::secure(const ClientSecurity& security) {
  TRY(set_text(ZMQ_CURVE_SERVERKEY, security.server_key), "encrypting");
  TRY(set_text(ZMQ_CURVE_PUBLICKEY, security.keys.public_key), "encrypting");
  TRY(set_text(ZMQ_CURVE_SECRETKEY, security.keys.secret_key), "encrypting");
  is_encrypted_ = true;
  return {};
}

Result<void> Socket::set(int option, int value) {
  if (zmq_setsockopt(socket_, option, &value, sizeof value) != 0) {
    return tl::unexpected(zmq_error(Code::kUnavailable, "setting a socket option"));
  }
  return {};
}

Result<void> Socket::set_common_options() {
  if (socket_ == nullptr) return tl::unexpected(zmq_error(Code::kUnavailable, "making a socket"));
  const std::int64_t hard_max = kFrameBytesHardMax;
  if (zmq_setsockopt(socket_, ZMQ_MAXMSGSIZE, &hard_max, sizeof hard_max) != 0) {
    return tl::unexpected(zmq_error(Code::kUnavailable, "bounding the frames of a socket"));
  }
  TRY(set(ZMQ_LINGER, 0), "linger");
  const bool is_server = role_ == Role::kServer;
  TRY(set(ZMQ_SNDHWM, is_server ? kQueuedAnswersMax : kQueuedMessagesMax), "send queue");
  TRY(set(ZMQ_RCVHWM, is_server ? kQueuedQuestionsMax : kQueuedMessagesMax), "receive queue");
  TRY(set(ZMQ_TCP_MAXRT, kUnreadMsMax), "time of a silent peer");
  TRY(set(ZMQ_HANDSHAKE_IVL, kHandshakeMs), "handshake");
  TRY(set(ZMQ_HEARTBEAT_IVL, kPingMs), "ping");
  TRY(set(ZMQ_HEARTBEAT_TIMEOUT, kPongMs), "pong");
  return {};
}

Result<void> Socket::bind(const std::string& wanted) {
  // Sending to a connection that is gone is an error, not silence. Routing ids stay those that ROUTER draws
  // (a peer cannot choose one that starts with a zero byte), so handover is off: nobody can take over
  // another's connection.
  TRY(set(ZMQ_ROUTER_MANDATORY, 1), "mandatory routing");
  if (zmq_bind(socket_, wanted.c_str()) != 0) {
    const bool is_wrong = zmq_errno() == EINVAL || zmq_errno() == EPROTONOSUPPORT;
    return tl::unexpected(
        zmq_error(is_wrong ? Code::kInvalid : Code::kUnavailable, "binding " + address_text(wanted)));
  }
  char name[256] = {};
  std::size_t length = sizeof name;
  if (zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, name, &length) != 0) {
    return tl::unexpected(zmq_error(Code::kUnavailable, "asking for the bound endpoint"));
  }
  endpoint = name;
  return {};
}

Result<void> Socket::connect(const std::string& wanted) {
  // Nothing is queued for a connection that is not there: what is late is not sent at all.
  TRY(set(ZMQ_IMMEDIATE, 1), "immediate");
  TRY(set(ZMQ_RECONNECT_IVL, kReconnectMs), "reconnecting");
  TRY(set(ZMQ_RECONNECT_IVL_MAX, kReconnectMsMax), "reconnecting");
  TRY_ASSIGN(watch_, ConnectionWatch::open(context_, socket_), address_text(wanted));
  if (zmq_connect(socket_, wanted.c_str()) != 0) {
    return tl::unexpected(zmq_error(Code::kInvalid, "connecting to " + address_text(wanted)));
  }
  endpoint = wanted;
  return {};
}

Result<Ready> Socket::wait(Millis timeout, std::span<const int> descriptors) {
  std::vector<zmq_pollitem_t> items{{socket_, 0, ZMQ_POLLIN, 0}};
  for (const int descriptor : descriptors) items.push_back({nullptr, descriptor, ZMQ_POLLIN, 0});
  if (watch_ != nullptr) items.push_back({watch_->socket(), 0, ZMQ_POLLIN, 0});
  if (authentication_ != nullptr) items.push_back({authentication_->socket(), 0, ZMQ_POLLIN, 0});
  const long wait_ms = timeout < Millis(0) ? -1 : static_cast<long>(timeout.count());
  Ready ready;
  if (zmq_poll(items.data(), static_cast<int>(items.size()), wait_ms) < 0) {
    if (zmq_errno() == EINTR) return ready;
    return tl::unexpected(zmq_error(Code::kUnavailable, "waiting on " + endpoint));
  }
  ready.message = (items[0].revents & ZMQ_POLLIN) != 0;
  for (std::size_t i = 0; i < descriptors.size(); ++i) {
    if (items[i + 1].revents != 0) ready.readable.push_back(descriptors[i]);
  }
  if (watch_ != nullptr) watch_->drain();
  if (authentication_ != nullptr) authentication_->answer_all();
  return ready;
}

// The message in `payload`, unless it is to be dropped; what it was is counted, and answered where that can
// help.
std::optional<Envelope> Socket::judge(const Peer& peer, Part& payload, bool is_single) {
  if (!is_single) {
    ++counters.malformed;
    return std::nullopt;
  }
  Result<Envelope> envelope = decode(payload.bytes());
  if (!envelope) {
    ++(envelope.error().code == Code::kExhausted ? counters.oversized : counters.malformed);
    return std::nullopt;
  }
  const Message::Reader message = envelope->message();
  const bool is_known = is_known_version(message) && is_known_kind(message);
  if (is_known) {
    ++counters.received;
    return std::move(*envelope);
  }
  capnp::MallocMessageBuilder answer;
  auto refusal = begin(answer, message.getRequestId()).initRefused();
  if (!is_known_version(message)) {
    ++counters.unknown_version;
    refusal.setCode("invalid");
    refusal.setMessage("protocol version " + std::to_string(message.getVersion()) + " is not spoken here, " +
                       std::to_string(PROTOCOL_VERSION) + " is: use a program of the same release");
  } else {
    ++counters.unknown_kind;
    refusal.setCode("unimplemented");
    refusal.setMessage("a message of a kind that this release does not know");
  }
  // A client drops it. A server's refusal that cannot be delivered is counted by send(), and its peer has
  // gone.
  if (role_ == Role::kServer) static_cast<void>(send(&peer, answer));
  return std::nullopt;
}

std::optional<Received> Socket::receive() {
  if (watch_ != nullptr) watch_->drain();
  for (int bad = 0; bad < kBadFramesPerReceive; ++bad) {
    Part sender;
    Part payload;
    bool is_whole = true;
    if (role_ == Role::kServer) {
      if (!sender.receive(socket_)) return std::nullopt;
      is_whole = sender.has_more() && payload.receive(socket_);
    } else if (!payload.receive(socket_)) {
      return std::nullopt;
    }
    bool is_single = is_whole;
    for (bool more = is_whole && payload.has_more(); more;) {
      Part surplus;
      is_single = false;
      more = surplus.receive(socket_) && surplus.has_more();
    }
    const auto id = sender.bytes();
    Peer peer(reinterpret_cast<const char*>(id.data()), id.size());
    std::string key = authentication_ != nullptr ? payload.user_id() : std::string();
    if (auto envelope = judge(peer, payload, is_single))
      return Received{std::move(peer), std::move(*envelope), std::move(key)};
  }
  return std::nullopt;
}

Result<void> Socket::send(const Peer* peer, capnp::MessageBuilder& builder) {
  TRY_ASSIGN(const Frame frame, encode(builder), "sending a message");
  if (peer != nullptr && zmq_send(socket_, peer->data(), peer->size(), ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
    ++counters.undeliverable;
    const bool is_gone = zmq_errno() == EHOSTUNREACH;
    return tl::unexpected(
        zmq_error(is_gone ? Code::kNotFound : Code::kUnavailable, "sending to a connection of " + endpoint));
  }
  if (zmq_send(socket_, frame.data(), frame.size(), ZMQ_DONTWAIT) < 0) {
    ++counters.undeliverable;
    if (zmq_errno() == EAGAIN) {
      if (watch_ != nullptr) watch_->drain();
      return tl::unexpected(describe_obstacle());
    }
    return tl::unexpected(zmq_error(Code::kUnavailable, "sending to " + endpoint));
  }
  ++counters.sent;
  return {};
}

// A client's. Ends early when the server has turned it away: waiting would not help.
Result<void> Socket::wait_for_room(Millis timeout) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + timeout;
  for (Millis left = timeout; left > Millis(0); left = std::chrono::ceil<Millis>(deadline - Clock::now())) {
    std::array items{zmq_pollitem_t{socket_, 0, ZMQ_POLLOUT, 0},
                     zmq_pollitem_t{watch_->socket(), 0, ZMQ_POLLIN, 0}};
    if (zmq_poll(items.data(), items.size(), static_cast<long>(left.count())) < 0 && zmq_errno() != EINTR) {
      return tl::unexpected(zmq_error(Code::kUnavailable, "waiting for a connection to " + endpoint));
    }
    watch_->drain();
    if ((items[0].revents & ZMQ_POLLOUT) != 0) return {};
    if (obstacle() == Obstacle::kTurnedAway) return tl::unexpected(describe_obstacle());
  }
  return {};
}

Server::Server(std::unique_ptr<Socket> socket) : socket_(std::move(socket)) {}
Server::Server(Server&&) noexcept = default;
Server& Server::operator=(Server&&) noexcept = default;
Server::~Server() = default;

Result<Server> Server::open(const std::string& endpoint, std::optional<ServerSecurity> security) {
  TRY_ASSIGN(auto socket, Socket::open_server(endpoint, std::move(security)), "starting to serve");
  return Server(std::move(socket));
}
const std::string& Server::endpoint() const {
  return socket_->endpoint;
}
Result<Ready> Server::wait(Millis timeout, std::span<const int> descriptors) {
  return socket_->wait(timeout, descriptors);
}
std::optional<Received> Server::receive() {
  return socket_->receive();
}
Result<void> Server::send(const Peer& peer, capnp::MessageBuilder& builder) {
  return socket_->send(&peer, builder);
}
const SocketCounters& Server::counters() const {
  return socket_->counters;
}

Client::Client(std::unique_ptr<Socket> socket) : socket_(std::move(socket)) {}
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;
Client::~Client() = default;

Result<Client> Client::open(const std::string& endpoint, std::optional<ClientSecurity> security) {
  TRY_ASSIGN(auto socket, Socket::open_client(endpoint, security), "starting to connect");
  return Client(std::move(socket));
}
Result<Ready> Client::wait(Millis timeout, std::span<const int> descriptors) {
  return socket_->wait(timeout, descriptors);
}
std::optional<Envelope> Client::receive() {
  auto received = socket_->receive();
  if (!received) return std::nullopt;
  return std::move(received->envelope);
}
Result<void> Client::send(capnp::MessageBuilder& builder, Millis timeout) {
  TRY(socket_->wait_for_room(timeout), "sending a message");
  return socket_->send(nullptr, builder);
}

Result<Envelope> Client::ask(capnp::MessageBuilder& builder, Millis timeout) {
  using Clock = std::chrono::steady_clock;
  const auto deadline = Clock::now() + timeout;
  const std::uint64_t request_id = builder.getRoot<Message>().getRequestId();
  TRY(send(builder, timeout), "asking");
  while (true) {
    while (auto envelope = receive()) {
      const Message::Reader message = envelope->message();
      if (message.getRequestId() != request_id) continue;
      if (message.isRefused()) return tl::unexpected(read_refusal(message.getRefused()));
      return std::move(*envelope);
    }
    const auto left = std::chrono::ceil<Millis>(deadline - Clock::now());
    if (left <= Millis(0))
      return fail(Code::kUnavailable, "no answer from " + socket_->endpoint + " in time");
    TRY(wait(left), "asking");
  }
}

void Client::linger(Millis time) {
  socket_->linger(time);
}
std::uint64_t Client::connections() const {
  return socket_->connections();
}
Obstacle Client::obstacle() const {
  return socket_->obstacle();
}
Error Client::describe_obstacle() const {
  return socket_->describe_obstacle();
}
const SocketCounters& Client::counters() const {
  return socket_->counters;
}

}  // namespace paddock::wire
