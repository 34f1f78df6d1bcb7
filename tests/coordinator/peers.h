// tests/coordinator/peers.h – a client and a worker as the coordinator sees them: they speak the real
// protocol.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "coordinator/answers.h"
#include "wire/socket.h"

namespace paddock::coordinator {

inline constexpr Millis kPatience = std::chrono::seconds(30);

class TestClient {
 public:
  explicit TestClient(const std::string& endpoint) : client_(*wire::Client::open(endpoint)) {}

  Result<wire::Envelope> ask(const std::function<void(wire::Message::Builder)>& fill) {
    capnp::MallocMessageBuilder builder;
    fill(wire::begin(builder, ++request_id_));
    return client_.ask(builder, kPatience);
  }
  static void fill_submission(wire::Message::Builder message, const std::string& spec,
                              const std::string& token) {
    auto submit = message.initSubmit();
    submit.setSpec(spec);
    submit.setFile("graph.yaml");
    submit.setToken(token);
  }
  // Without waiting for an answer.
  void send_submission(const std::string& spec, const std::string& token) {
    capnp::MallocMessageBuilder builder;
    fill_submission(wire::begin(builder, ++request_id_), spec, token);
    client_.linger(kPatience);
    EXPECT_TRUE(client_.send(builder, kPatience));
  }
  Result<std::uint64_t> submit(const std::string& spec, const std::string& token) {
    const auto answer = ask([&](wire::Message::Builder message) { fill_submission(message, spec, token); });
    if (!answer) return tl::unexpected(answer.error());
    return answer->message().getSubmitted().getGraph();
  }
  // The graph must be there.
  wire::Envelope status(std::uint64_t graph) {
    auto answer = ask([&](wire::Message::Builder message) { message.initStatusRequest().setGraph(graph); });
    EXPECT_TRUE(answer) << (answer ? "" : answer.error().message);
    return *std::move(answer);
  }
  std::string log(std::uint64_t graph, const std::string& job) {
    const auto answer = ask([&](wire::Message::Builder message) {
      auto request = message.initLogRequest();
      request.setGraph(graph);
      request.setJob(job);
    });
    EXPECT_TRUE(answer) << (answer ? "" : answer.error().message);
    const auto bytes = answer->message().getLogChunk().getBytes();
    return std::string(reinterpret_cast<const char*>(bytes.begin()), bytes.size());
  }

 private:
  wire::Client client_;
  std::uint64_t request_id_ = 0;
};

using HeldRanks = std::vector<std::pair<std::uint64_t, std::uint32_t>>;

class TestWorker {
 public:
  TestWorker(const std::string& endpoint, std::string node, std::uint64_t incarnation = 42)
      : client_(*wire::Client::open(endpoint)), node_(std::move(node)), incarnation_(incarnation) {}

  void join(const HeldRanks& held = {}) {
    capnp::MallocMessageBuilder builder;
    auto join = wire::begin(builder).initJoin();
    join.setNode(node_);
    join.setIncarnation(incarnation_);
    join.setAddress("127.0.0.1");
    join.setCpus(2);
    join.setMemoryBytes(1u << 30);
    auto ports = join.initPorts(2);
    ports.set(0, 29'500);
    ports.set(1, 29'501);
    auto list = join.initHeld(static_cast<unsigned>(held.size()));
    for (unsigned i = 0; i < held.size(); ++i) {
      list[i].setFence(held[i].first);
      list[i].setRank(held[i].second);
    }
    join.setFirstReport(first_report_);
    join.setSequence(++sequence_);
    join.setFollows(follows_);
    send(builder);
  }
  // As a worker of today, which has heard that; without it, as one from before there was such a thing.
  void set_follows(std::uint64_t follows) { follows_ = follows; }
  void heartbeat(const HeldRanks& held = {}) {
    capnp::MallocMessageBuilder builder;
    auto heartbeat = wire::begin(builder).initHeartbeat();
    heartbeat.setNode(node_);
    heartbeat.setIncarnation(incarnation_);
    heartbeat.setSequence(++sequence_);
    auto list = heartbeat.initHeld(static_cast<unsigned>(held.size()));
    for (unsigned i = 0; i < held.size(); ++i) {
      list[i].setFence(held[i].first);
      list[i].setRank(held[i].second);
    }
    send(builder);
  }
  void report(std::uint64_t number, std::uint64_t fence,
              const std::function<void(wire::Report::Builder)>& fill) {
    capnp::MallocMessageBuilder builder;
    auto reports = wire::begin(builder).initReports();
    reports.setNode(node_);
    reports.setIncarnation(incarnation_);
    reports.setAfter(number > 0 ? number - 1 : 0);
    auto report = reports.initReports(1)[0];
    report.setNumber(number);
    report.setFence(fence);
    fill(report);
    send(builder);
  }
  void set_first_report(std::uint64_t number) { first_report_ = number; }

  // The next message of this kind; others before it are dropped. Sends a heartbeat whenever `beat` has
  // passed.
  wire::Envelope expect(wire::Message::Which kind, Millis beat = kPatience) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < deadline) {
      while (auto envelope = client_.receive()) {
        if (envelope->message().which() == kind) return *std::move(envelope);
      }
      const auto ready = client_.wait(beat);
      if (ready && !ready->message && beat < kPatience) heartbeat();
    }
    ADD_FAILURE() << "no message of kind " << kind;
    std::abort();
  }

 private:
  void send(capnp::MessageBuilder& builder) {
    const auto sent = client_.send(builder, kPatience);
    EXPECT_TRUE(sent) << (sent ? "" : sent.error().message);
  }

  wire::Client client_;
  std::string node_;
  std::uint64_t incarnation_;
  std::uint64_t follows_ = 0;
  std::uint64_t sequence_ = 0;
  std::uint64_t first_report_ = 1;
};

}  // namespace paddock::coordinator
