#include "wire/socket.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

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

TEST(Socket, AWrongEndpointIsRefusedWithItsName) {
  EXPECT_EQ(Client::open("nonsense").error().code, Code::kInvalid);
  EXPECT_NE(Server::open("tcp://nonsense").error().message.find("tcp://nonsense"), std::string::npos);
}

}  // namespace
}  // namespace paddock::wire
