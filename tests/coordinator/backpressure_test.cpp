// One that takes more than it reads, or sends more than is read, must not cost the coordinator its memory, nor others
// their answers.
#include <gtest/gtest.h>
#include <zmq.h>

#include <fstream>

#include "tests/coordinator/coordinator_process.h"
#include "tests/coordinator/peers.h"

namespace paddock::coordinator {
namespace {

// A client that only ever asks.
class DeafClient {
 public:
  explicit DeafClient(const std::string& endpoint)
      : context_(zmq_ctx_new()), socket_(zmq_socket(context_, ZMQ_DEALER)) {
    set(ZMQ_RCVHWM, 1);
    set(ZMQ_RCVBUF, 64 << 10);
    set(ZMQ_LINGER, 0);
    set(ZMQ_SNDTIMEO, 5'000);
    EXPECT_EQ(zmq_connect(socket_, endpoint.c_str()), 0);
  }
  ~DeafClient() {
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  DeafClient(const DeafClient&) = delete;
  DeafClient& operator=(const DeafClient&) = delete;

  // False: it cannot be sent, since the coordinator reads no more of this one.
  bool ask(std::uint64_t graph) {
    capnp::MallocMessageBuilder builder;
    wire::begin(builder, 1).initStatusRequest().setGraph(graph);
    const wire::Frame frame = wire::encode(builder).value();
    return zmq_send(socket_, frame.data(), frame.size(), 0) >= 0;
  }

 private:
  void set(int option, int value) { EXPECT_EQ(zmq_setsockopt(socket_, option, &value, sizeof value), 0); }
  void* context_;
  void* socket_;
};

std::uint64_t resident_bytes(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  std::uint64_t pages = 0;
  file >> pages >> pages;
  return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

TEST(Backpressure, AClientThatNeverReadsCostsABoundedAmountOfMemoryAndNobodyElseAnAnswer) {
  CoordinatorProcess coordinator;
  coordinator.start();
  TestClient client(coordinator.endpoint());
  std::string large = "graph: large\njobs:\n";
  for (int i = 0; i < 1'000; ++i)
    large += "  job" + std::to_string(i) + ": { kind: command, command: [\"true\"] }\n";
  const std::uint64_t graph = client.submit(large, "large").value();
  const std::uint64_t before = resident_bytes(coordinator.pid());
  DeafClient deaf(coordinator.endpoint());
  for (int i = 0; i < 5'000 && deaf.ask(graph); ++i) {
    if (i % 100 == 0) {
      EXPECT_TRUE(
          client.submit("graph: g\njobs: { j: { kind: command, command: [x] } }", "t" + std::to_string(i)));
    }
  }
  const auto answer = client.status(graph);
  const std::uint64_t answer_bytes = answer.message().totalSize().wordCount * 8;
  EXPECT_LT(resident_bytes(coordinator.pid()), before + wire::kQueuedAnswersMax * answer_bytes + (64u << 20));
}

}  // namespace
}  // namespace paddock::coordinator
