#include "wire/socket.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace paddock::wire {
namespace {

constexpr auto kPatience = std::chrono::seconds(60);

// Answers `count` questions for nodes, then returns.
void serve(Server& server, int count) {
  while (count > 0) {
    if (!server.wait(kPatience)) return;
    while (auto received = server.receive()) {
      capnp::MallocMessageBuilder answer;
      const auto request = received->envelope.message();
      if (request.isNodesRequest()) {
        begin(answer, request.getRequestId()).initNodes(1)[0].setName("a");
      } else {
        write_refusal(answer, request.getRequestId(), Error{Code::kNotFound, "there is no such graph"});
      }
      EXPECT_TRUE(server.send(received->peer, answer));
      --count;
    }
  }
}

TEST(Socket, AQuestionGetsItsAnswerAndARefusalItsError) {
  Server server = Server::open("tcp://127.0.0.1:*").value();
  std::thread serving([&] { serve(server, 2); });
  Client client = Client::open(server.endpoint()).value();
  capnp::MallocMessageBuilder question;
  begin(question, 11).setNodesRequest();
  const auto answer = client.ask(question, kPatience);
  capnp::MallocMessageBuilder cancel;
  begin(cancel, 12).initCancel().setGraph(99);
  const auto refused = client.ask(cancel, kPatience);
  serving.join();
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->message().getNodes().size(), 1u);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kNotFound);
}

TEST(Socket, NothingIsQueuedForACoordinatorThatIsNotThere) {
  std::string endpoint;
  {
    const Server gone = Server::open("tcp://127.0.0.1:*").value();
    endpoint = gone.endpoint();
  }
  Client client = Client::open(endpoint).value();
  capnp::MallocMessageBuilder message;
  begin(message).initHeartbeat();
  EXPECT_EQ(client.send(message).error().code, Code::kUnavailable);
  EXPECT_EQ(client.connections(), 0u);
  EXPECT_EQ(client.counters().undeliverable, 1u);
}

TEST(Socket, AClientSeesThatTheServerCameBack) {
  auto first = std::make_unique<Server>(Server::open("tcp://127.0.0.1:*").value());
  const std::string endpoint = first->endpoint();
  Client client = Client::open(endpoint).value();
  while (client.connections() == 0) ASSERT_TRUE(client.wait(kPatience));
  first.reset();
  const Server second = Server::open(endpoint).value();
  while (client.connections() == 1) ASSERT_TRUE(client.wait(kPatience));
  EXPECT_EQ(client.connections(), 2u);
}

TEST(Socket, SendingToAConnectionThatIsGoneIsAnError) {
  Server server = Server::open("tcp://127.0.0.1:*").value();
  capnp::MallocMessageBuilder message;
  begin(message).setDone();
  EXPECT_EQ(server.send(std::string("\0gone", 5), message).error().code, Code::kNotFound);
  EXPECT_EQ(server.counters().undeliverable, 1u);
}

TEST(Socket, ADescriptorWakesAWaitingServer) {
  Server server = Server::open("tcp://127.0.0.1:*").value();
  const int wake = eventfd(1, EFD_CLOEXEC);
  const auto ready = server.wait(Millis(-1), std::span(&wake, 1));
  close(wake);
  ASSERT_TRUE(ready);
  EXPECT_FALSE(ready->message);
  EXPECT_EQ(ready->readable, std::vector<int>{wake});
}

// A server that admits one key, and what is needed to reach it.
struct Secured {
  KeyPair server_keys = make_key_pair().value();
  KeyPair client_keys = make_key_pair().value();
  Server server =
      Server::open("tcp://127.0.0.1:*",
                   ServerSecurity{server_keys,
                                  [this](const std::string& key) { return key == client_keys.public_key; }})
          .value();

  ClientSecurity client() const { return {client_keys, server_keys.public_key}; }
};

// Asks until it is answered or told why not, while the server's handshakes are served.
Error refusal_of(Server& server, Client& client) {
  std::atomic<bool> is_over = false;
  std::thread serving([&] {
    while (!is_over) {
      EXPECT_TRUE(server.wait(Millis(10)));
      EXPECT_FALSE(server.receive()) << "nothing may come through";
    }
  });
  while (client.obstacle() != Obstacle::kTurnedAway && client.obstacle() != Obstacle::kHandshake)
    EXPECT_TRUE(client.wait(kPatience));
  capnp::MallocMessageBuilder question;
  begin(question, 1).setNodesRequest();
  const auto answer = client.ask(question, Millis(1'000));
  is_over = true;
  serving.join();
  EXPECT_FALSE(answer);
  return answer ? Error{} : answer.error();
}

TEST(SecuredSocket, AnAdmittedKeyIsAnsweredAndEachMessageSaysWhose) {
  Secured secured;
  Client client = Client::open(secured.server.endpoint(), secured.client()).value();
  std::string key;
  std::thread serving([&] {
    while (key.empty()) {
      ASSERT_TRUE(secured.server.wait(kPatience));
      while (auto received = secured.server.receive()) {
        key = received->key;
        capnp::MallocMessageBuilder answer;
        begin(answer, received->envelope.message().getRequestId()).initNodes(0);
        EXPECT_TRUE(secured.server.send(received->peer, answer));
      }
    }
  });
  capnp::MallocMessageBuilder question;
  begin(question, 1).setNodesRequest();
  const auto answer = client.ask(question, kPatience);
  serving.join();
  EXPECT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(key, secured.client_keys.public_key);
}

TEST(SecuredSocket, AKeyThatIsNotAdmittedGetsNoMessageThroughAndIsTold) {
  Secured secured;
  Client client = Client::open(secured.server.endpoint(),
                               ClientSecurity{make_key_pair().value(), secured.server_keys.public_key})
                      .value();
  const Error refused = refusal_of(secured.server, client);
  EXPECT_EQ(refused.code, Code::kDenied);
  EXPECT_NE(refused.message.find("paddock keys allow"), std::string::npos) << refused.message;
}

TEST(SecuredSocket, AWrongKeyOfTheServerIsNamedAsTheLikelyReason) {
  Secured secured;
  Client client = Client::open(secured.server.endpoint(),
                               ClientSecurity{secured.client_keys, make_key_pair()->public_key})
                      .value();
  const Error refused = refusal_of(secured.server, client);
  EXPECT_EQ(refused.code, Code::kUnavailable);
  EXPECT_NE(refused.message.find("its key is not the one given"), std::string::npos) << refused.message;
}

TEST(SecuredSocket, WithoutAKeyNothingAnswers) {
  Secured secured;
  Client client = Client::open(secured.server.endpoint()).value();
  const Error refused = refusal_of(secured.server, client);
  EXPECT_EQ(refused.code, Code::kUnavailable);
  EXPECT_NE(refused.message.find("only peers with keys"), std::string::npos) << refused.message;
}

TEST(SecuredSocket, AClientWithKeysDoesNotSpeakToAPlainServer) {
  Server server = Server::open("tcp://127.0.0.1:*").value();
  const Secured other;
  Client client = Client::open(server.endpoint(), other.client()).value();
  const Error refused = refusal_of(server, client);
  EXPECT_EQ(refused.code, Code::kUnavailable);
  EXPECT_NE(refused.message.find("runs without keys"), std::string::npos) << refused.message;
}

TEST(Socket, PlainTcpStaysOnThisMachine) {
  for (const char* endpoint : {"tcp://0.0.0.0:7373", "tcp://*:7373", "tcp://10.0.0.1:7373", "tcp://[::]:7373",
                               "tcp://127.0.0.1.example.org:7373", "tcp://eth0:7373"}) {
    EXPECT_EQ(Server::open(endpoint).error().code, Code::kInvalid) << endpoint;
    EXPECT_EQ(Client::open(endpoint).error().code, Code::kInvalid) << endpoint;
  }
}

TEST(Socket, AWrongEndpointIsRefusedWithItsName) {
  EXPECT_EQ(Client::open("nonsense").error().code, Code::kInvalid);
  EXPECT_NE(Server::open("tcp://nonsense").error().message.find("tcp://nonsense"), std::string::npos);
}

}  // namespace
}  // namespace paddock::wire
