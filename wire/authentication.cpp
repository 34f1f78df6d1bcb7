#include "wire/authentication.h"

#include <zmq.h>

#include <array>
#include <string_view>
#include <utility>
#include <vector>

namespace paddock::wire {
namespace {

constexpr const char* kZapEndpoint = "inproc://zeromq.zap.01";
constexpr std::size_t kBinaryKeyBytes = 32;
// A question: version, request id, domain, address, identity, mechanism, and the key.
constexpr std::size_t kQuestionFrames = 7;
constexpr std::size_t kMechanismFrame = 5;
constexpr std::size_t kKeyFrame = 6;

// All frames of one message that is here; empty: there is none.
std::vector<std::string> receive_frames(void* socket) {
  std::vector<std::string> frames;
  for (bool more = true; more;) {
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    const bool is_here = zmq_msg_recv(&frame, socket, ZMQ_DONTWAIT) >= 0;
    if (is_here) frames.emplace_back(static_cast<const char*>(zmq_msg_data(&frame)), zmq_msg_size(&frame));
    more = is_here && zmq_msg_more(&frame) != 0;
    zmq_msg_close(&frame);
  }
  return frames;
}

std::string key_of(const std::vector<std::string>& question) {
  if (question.size() != kQuestionFrames || question[kMechanismFrame] != "CURVE" ||
      question[kKeyFrame].size() != kBinaryKeyBytes) {
    return {};
  }
  std::array<char, kKeyLetters + 1> text{};
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(question[kKeyFrame].data());
  return zmq_z85_encode(text.data(), bytes, kBinaryKeyBytes) == nullptr ? std::string()
                                                                        : std::string(text.data());
}

}  // namespace

Result<ClientSecurity> read_client_security(const std::filesystem::path& secret_file,
                                            const std::string& server) {
  TRY_ASSIGN(KeyPair keys, read_secret_key(secret_file), "the key of this side");
  TRY_ASSIGN(NamedKey server_key, to_public_key(server), "the coordinator's key");
  return ClientSecurity{std::move(keys), std::move(server_key.public_key)};
}

Result<std::unique_ptr<Authentication>> Authentication::open(void* context,
                                                             std::function<bool(const std::string&)> admits) {
  void* const socket = zmq_socket(context, ZMQ_REP);
  if (socket == nullptr)
    return fail(Code::kUnavailable, std::string("answering handshakes: ") + zmq_strerror(zmq_errno()));
  auto authentication = std::unique_ptr<Authentication>(new Authentication(socket, std::move(admits)));
  const int linger = 0;
  zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
  if (zmq_bind(socket, kZapEndpoint) != 0)
    return fail(Code::kUnavailable, std::string("answering handshakes: ") + zmq_strerror(zmq_errno()));
  return authentication;
}

Authentication::~Authentication() {
  zmq_close(socket_);
}

void Authentication::answer_all() {
  while (true) {
    const std::vector<std::string> question = receive_frames(socket_);
    if (question.empty()) return;
    const std::string key = key_of(question);
    const bool is_admitted = !key.empty() && admits_(key);
    ++(is_admitted ? admitted_ : turned_away_);
    // The user id comes with every message of the connection: it is the key itself.
    const std::array<std::string_view, 6> answer{"1.0",
                                                 question.size() > 1 ? std::string_view(question[1]) : "",
                                                 is_admitted ? "200" : "400",
                                                 is_admitted ? "OK" : "this key is not in the allow-list",
                                                 is_admitted ? std::string_view(key) : "",
                                                 ""};
    for (std::size_t i = 0; i < answer.size(); ++i) {
      // Within the process and read by a thread that asked for it: it cannot be full.
      zmq_send(socket_, answer[i].data(), answer[i].size(),
               ZMQ_DONTWAIT | (i + 1 < answer.size() ? ZMQ_SNDMORE : 0));
    }
  }
}

}  // namespace paddock::wire
