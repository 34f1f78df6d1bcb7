// The whole coordinator over real sockets and a real disk: what a client and a worker see of it, also when it
// is killed.
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <limits>

#include "coordinator/daemon.h"
#include "tests/coordinator/coordinator_process.h"
#include "tests/coordinator/peers.h"

namespace paddock::coordinator {
namespace {

constexpr const char* kHello = R"(
graph: hello
jobs:
  say: { kind: command, command: [echo, hello] }
  after: { kind: command, needs: [say], command: ["true"] }
)";
constexpr const char* kGang = R"(
graph: gang
jobs:
  train: { kind: command, command: ["true"], resources: { nodes: 2, cpus: 2 } }
)";

std::string text(capnp::Text::Reader reader) {
  return reader.cStr();
}

TEST(CoordinatorProcess, ASubmissionSentTwiceIsAcceptedOnceAndSurvivesKill9) {
  CoordinatorProcess coordinator;
  coordinator.start();
  std::uint64_t graph = 0;
  {
    TestClient client(coordinator.endpoint());
    graph = *client.submit(kHello, "token-1");
    EXPECT_EQ(*client.submit(kHello, "token-1"), graph);
  }
  const std::string endpoint = coordinator.endpoint();
  coordinator.kill();
  coordinator.start();
  EXPECT_EQ(coordinator.endpoint(), endpoint);
  TestClient client(coordinator.endpoint());
  EXPECT_EQ(*client.submit(kHello, "token-1"), graph);
  const auto status = client.status(graph);
  const auto jobs = status.message().getStatus().getGraphs()[0].getJobs();
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(text(jobs[0].getState()), "queued");
  EXPECT_EQ(text(jobs[0].getReason()), "waits for a node with 1 free core: no node has joined");
  EXPECT_EQ(text(jobs[1].getReason()), "waits for say (queued)");
  EXPECT_EQ(coordinator.stop(), 0);
}

TEST(CoordinatorProcess, AnAttemptGoesOnUndisturbedWhileTheCoordinatorIsKilledAndRestarted) {
  CoordinatorProcess coordinator;
  coordinator.start();
  std::uint64_t graph = 0;
  std::uint64_t fence = 0;
  {
    TestClient client(coordinator.endpoint());
    TestWorker worker(coordinator.endpoint(), "a");
    worker.join();
    EXPECT_TRUE(worker.expect(wire::Message::LEASE).message().getLease().getJoined());
    graph = *client.submit(kHello, "token");
    const auto start = worker.expect(wire::Message::START_RANKS);
    const auto order = start.message().getStartRanks();
    EXPECT_EQ(text(order.getCommand()[1]), "hello");
    EXPECT_EQ(order.getMasterPort(), 29'500);
    fence = order.getFence();
    worker.report(1, fence, [](wire::Report::Builder report) { report.setStarted(4'711); });
    EXPECT_EQ(worker.expect(wire::Message::ACKNOWLEDGED).message().getAcknowledged(), 1u);
  }
  coordinator.kill();
  coordinator.start();
  TestClient client(coordinator.endpoint());
  TestWorker worker(coordinator.endpoint(), "a");
  worker.heartbeat({{fence, 0}});
  EXPECT_FALSE(worker.expect(wire::Message::LEASE).message().getLease().getJoined());
  worker.set_first_report(2);
  worker.join({{fence, 0}});
  EXPECT_TRUE(worker.expect(wire::Message::LEASE).message().getLease().getJoined());
  worker.report(0, fence, [](wire::Report::Builder report) { report.setProgress(R"({"step":3})"); });
  worker.report(0, fence, [](wire::Report::Builder report) {
    report.initLog().setBytes(capnp::Data::Reader(reinterpret_cast<const kj::byte*>("hello\n"), 6));
  });
  worker.report(2, fence, [](wire::Report::Builder report) {
    auto artifact = report.initArtifact();
    artifact.setName("greeting");
    artifact.setPath("/store/greeting");
  });
  EXPECT_EQ(worker.expect(wire::Message::ACKNOWLEDGED).message().getAcknowledged(), 2u);
  {
    const auto status = client.status(graph);
    const auto say = status.message().getStatus().getGraphs()[0].getJobs()[0];
    EXPECT_EQ(text(say.getState()), "running");
    EXPECT_EQ(text(say.getReason()), "runs on a");
    EXPECT_EQ(say.getAttempts().size(), 1u);
    EXPECT_EQ(say.getAttempts()[0].getPids()[0], 4'711);
    EXPECT_EQ(text(say.getProgress()), R"({"step":3})");
  }
  worker.report(3, fence, [](wire::Report::Builder report) { report.initEnded().setReason("exited 0"); });
  EXPECT_EQ(worker.expect(wire::Message::ACKNOWLEDGED).message().getAcknowledged(), 3u);
  const auto status = client.status(graph);
  const auto jobs = status.message().getStatus().getGraphs()[0].getJobs();
  EXPECT_EQ(text(jobs[0].getState()), "succeeded");
  EXPECT_EQ(text(jobs[0].getArtifacts()[0].getName()), "greeting");
  EXPECT_EQ(client.log(graph, "say"), "hello\n");
  EXPECT_NE(worker.expect(wire::Message::START_RANKS).message().getStartRanks().getFence(), fence);
}

TEST(CoordinatorProcess, ALostNodeEndsTheGangOnTheOther) {
  CoordinatorProcess coordinator(1'000);
  coordinator.start();
  TestClient client(coordinator.endpoint());
  TestWorker silent(coordinator.endpoint(), "a");
  TestWorker lively(coordinator.endpoint(), "b");
  silent.join();
  lively.join();
  silent.expect(wire::Message::LEASE);
  const std::uint64_t graph = *client.submit(kGang, "token");
  const auto start = lively.expect(wire::Message::START_RANKS, Millis(250));
  const std::uint64_t fence = start.message().getStartRanks().getFence();
  EXPECT_EQ(start.message().getStartRanks().getRanks()[0].getRank(), 1u);
  lively.report(1, fence, [](wire::Report::Builder report) {
    report.setRank(1);
    report.setStarted(1);
  });
  const auto end = lively.expect(wire::Message::END_ATTEMPT, Millis(250));
  EXPECT_EQ(end.message().getEndAttempt().getFence(), fence);
  const auto status = client.status(graph);
  const auto attempt = status.message().getStatus().getGraphs()[0].getJobs()[0].getAttempts()[0];
  EXPECT_EQ(text(attempt.getReason()), "a was lost: its lease ran out without a word from it");
}

// A dead worker's messages may still be under way when the next one has joined.
TEST(CoordinatorProcess, AJoinOfAWorkerThatIsOverTakesNothingFromTheOneAfterIt) {
  CoordinatorProcess coordinator;
  coordinator.start();
  TestClient client(coordinator.endpoint());
  TestWorker before(coordinator.endpoint(), "a", 1);
  before.join();
  before.expect(wire::Message::LEASE);
  TestWorker after(coordinator.endpoint(), "a", 2);
  after.join();
  after.expect(wire::Message::LEASE);
  const std::uint64_t graph = *client.submit(kHello, "token");
  const std::uint64_t fence = after.expect(wire::Message::START_RANKS).message().getStartRanks().getFence();
  const auto join_late = [](TestWorker& worker) {
    worker.join();
    const auto refusal = wire::read_refusal(worker.expect(wire::Message::REFUSED).message().getRefused());
    EXPECT_EQ(refusal.code, Code::kConflict);
    EXPECT_TRUE(refusal.message.starts_with("a newer worker has joined as node a")) << refusal.message;
  };
  join_late(before);
  after.report(1, fence, [](wire::Report::Builder report) { report.setStarted(7); });
  EXPECT_EQ(after.expect(wire::Message::ACKNOWLEDGED).message().getAcknowledged(), 1u);

  coordinator.kill();  // nor does one that only seemed to be dead, after a restart
  coordinator.start();
  TestWorker same(coordinator.endpoint(), "a", 2);
  same.set_first_report(2);
  same.join({{fence, 0}});
  same.expect(wire::Message::LEASE);
  TestWorker undead(coordinator.endpoint(), "a", 1);
  join_late(undead);
  TestClient again(coordinator.endpoint());
  const auto status = again.status(graph);
  const auto job = status.message().getStatus().getGraphs()[0].getJobs()[0];
  EXPECT_EQ(text(job.getState()), "running");
  EXPECT_EQ(job.getAttempts().size(), 1u);
}

TEST(CoordinatorProcess, TheFirstJoinOfADaemonThatDiedUnheardDoesNotTakeTheNodeFromTheOneThatLives) {
  CoordinatorProcess coordinator;
  coordinator.start();
  TestWorker living(coordinator.endpoint(), "a", 2);
  living.set_follows(1);
  living.join();
  EXPECT_TRUE(living.expect(wire::Message::LEASE).message().getLease().getJoined());
  TestWorker dead(coordinator.endpoint(), "a", 1);
  dead.set_follows(1);
  dead.join();
  const wire::Envelope answer = dead.expect(wire::Message::LEASE);
  EXPECT_FALSE(answer.message().getLease().getJoined());
  EXPECT_EQ(answer.message().getLease().getFollow(), 2u);
  living.heartbeat();
  EXPECT_TRUE(living.expect(wire::Message::LEASE).message().getLease().getJoined());
  // One that lives hears the answer, and takes its turn; also after a restart of the coordinator.
  coordinator.kill();
  coordinator.start();
  TestWorker next(coordinator.endpoint(), "a", 3);
  next.set_follows(2);
  next.join();
  EXPECT_TRUE(next.expect(wire::Message::LEASE).message().getLease().getJoined());
}

TEST(CoordinatorProcess, AnOrderToStartSaysWhichHeartbeatWasTheNewest) {
  CoordinatorProcess coordinator;
  coordinator.start();
  TestClient client(coordinator.endpoint());
  TestWorker worker(coordinator.endpoint(), "a");
  worker.join();  // its sequence is 1
  worker.expect(wire::Message::LEASE);
  worker.heartbeat();
  worker.expect(wire::Message::LEASE);
  EXPECT_TRUE(client.submit(kHello, "token"));
  EXPECT_EQ(worker.expect(wire::Message::START_RANKS).message().getStartRanks().getSequence(), 2u);
}

TEST(CoordinatorProcess, ARunThatNobodyAskedForIsEnded) {
  CoordinatorProcess coordinator;
  coordinator.start();
  TestWorker worker(coordinator.endpoint(), "a");
  worker.join({{99, 0}});
  EXPECT_EQ(worker.expect(wire::Message::END_ATTEMPT).message().getEndAttempt().getFence(), 99u);
}

TEST(CoordinatorProcess, AReportAfterALostOneWaitsForIt) {
  CoordinatorProcess coordinator;
  coordinator.start();
  TestClient client(coordinator.endpoint());
  TestWorker worker(coordinator.endpoint(), "a");
  worker.join();
  const std::uint64_t graph = *client.submit(kHello, "token");
  const std::uint64_t fence = worker.expect(wire::Message::START_RANKS).message().getStartRanks().getFence();
  worker.report(2, fence, [](wire::Report::Builder report) { report.initEnded(); });
  EXPECT_EQ(worker.expect(wire::Message::ACKNOWLEDGED).message().getAcknowledged(), 0u);
  worker.report(1, fence, [](wire::Report::Builder report) { report.setStarted(7); });
  EXPECT_EQ(worker.expect(wire::Message::ACKNOWLEDGED).message().getAcknowledged(), 1u);
  const auto status = client.status(graph);
  EXPECT_EQ(text(status.message().getStatus().getGraphs()[0].getJobs()[0].getState()), "running");
}

TEST(CoordinatorProcess, ListsRecordedCheckpointsNewestFirstAlsoAfterKill9) {
  CoordinatorProcess coordinator;
  coordinator.start();
  std::uint64_t graph = 0;
  {
    TestClient client(coordinator.endpoint());
    TestWorker worker(coordinator.endpoint(), "a");
    worker.join();
    graph = *client.submit(kHello, "token");
    const std::uint64_t fence =
        worker.expect(wire::Message::START_RANKS).message().getStartRanks().getFence();
    const std::array steps{std::int64_t{-1}, std::int64_t{100}, std::int64_t{200}};
    for (std::uint64_t i = 0; i < steps.size(); ++i) {
      worker.report(i + 1, fence, [&](wire::Report::Builder report) {
        auto saved = report.initCheckpoint();
        saved.setStep(steps[i]);
        saved.setPath(coordinator.folder().string());
        saved.setHash("hash");
        saved.setBytes(7);
      });
      EXPECT_EQ(worker.expect(wire::Message::ACKNOWLEDGED).message().getAcknowledged(), i + 1);
    }
  }
  coordinator.kill();
  coordinator.start();
  TestClient client(coordinator.endpoint());
  const auto answer =
      client.ask([&](wire::Message::Builder message) { message.initCheckpointsRequest().setGraph(graph); });
  ASSERT_TRUE(answer) << answer.error().message;
  const auto checkpoints = answer->message().getCheckpoints();
  ASSERT_EQ(checkpoints.size(), 2u);  // that of step -1 was refused
  EXPECT_EQ(text(checkpoints[0].getJob()), "say");
  EXPECT_EQ(checkpoints[0].getStep(), 200);
  EXPECT_EQ(checkpoints[1].getStep(), 100);
}

TEST(CoordinatorProcess, RefusesNonsenseWithASentenceAndGoesOn) {
  CoordinatorProcess coordinator;
  coordinator.start();
  TestClient client(coordinator.endpoint());
  EXPECT_EQ(client.submit("graph: [", "token").error().code, Code::kInvalid);
  EXPECT_EQ(client.submit(kHello, "").error().code, Code::kInvalid);
  EXPECT_NE(client.submit("graph: x\njobs: { y: { kind: dance } }", "token").error().message.find("dance"),
            std::string::npos);
  const auto unknown =
      client.ask([](wire::Message::Builder message) { message.initStatusRequest().setGraph(77); });
  EXPECT_EQ(unknown.error().code, Code::kNotFound);
  const auto stray = client.ask([](wire::Message::Builder message) { message.setAcknowledged(1); });
  EXPECT_EQ(stray.error().code, Code::kInvalid);
  const std::uint64_t graph = *client.submit(kHello, "token");
  const auto cancelled =
      client.ask([&](wire::Message::Builder message) { message.initCancel().setGraph(graph); });
  ASSERT_TRUE(cancelled);
  EXPECT_TRUE(cancelled->message().isDone());
  const auto again =
      client.ask([&](wire::Message::Builder message) { message.initCancel().setGraph(graph); });
  EXPECT_EQ(again.error().code, Code::kConflict);
}

TEST(CoordinatorProcess, PlansWithoutSubmitting) {
  CoordinatorProcess coordinator;
  coordinator.start();
  TestClient client(coordinator.endpoint());
  const auto answer = client.ask([](wire::Message::Builder message) { message.initPlan().setSpec(kHello); });
  ASSERT_TRUE(answer) << answer.error().message;
  const auto jobs = answer->message().getPlanned().getJobs();
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(text(jobs[1].getPlacement()), "after say; waits for a node with 1 free core: no node has joined");
  EXPECT_EQ(client.status(0).message().getStatus().getGraphs().size(), 0u);
}

TEST(CoordinatorProcess, KilledBetweenJournalAndAnswerARetriedSubmissionIsStillOneGraph) {
  CoordinatorProcess coordinator;
  for (std::uint64_t round = 1; round <= 3; ++round) {
    coordinator.start();
    const std::string token = "token-" + std::to_string(round);
    coordinator.kill_at_sync(1);
    TestClient unlucky(coordinator.endpoint());
    unlucky.send_submission(kHello, token);
    coordinator.wait_for_its_death();
    coordinator.start();
    TestClient client(coordinator.endpoint());
    const auto graph = client.submit(kHello, token);
    ASSERT_TRUE(graph) << graph.error().message;
    EXPECT_EQ(*graph, round);
    EXPECT_EQ(*client.submit(kHello, token), *graph);
    EXPECT_EQ(client.status(0).message().getStatus().getGraphs().size(), round);
    coordinator.kill();
  }
}

TEST(CoordinatorProcess, AGraphThatEndedLeavesMemoryButIsShownAndItsTokenKept) {
  CoordinatorProcess coordinator;
  coordinator.ended_jobs_max = 0;
  coordinator.snapshot_events = 1;
  coordinator.start();
  std::uint64_t graph = 0;
  {
    TestClient client(coordinator.endpoint());
    graph = *client.submit(kHello, "token");
    ASSERT_TRUE(client.ask([&](wire::Message::Builder message) { message.initCancel().setGraph(graph); }));
  }
  for (int start = 0; start < 2; ++start) {  // a start looks first what is to be archived
    coordinator.kill();
    coordinator.start();
  }
  TestClient client(coordinator.endpoint());
  EXPECT_EQ(text(client.status(graph).message().getStatus().getGraphs()[0].getJobs()[0].getState()),
            "cancelled");
  EXPECT_EQ(client.status(0).message().getStatus().getGraphs().size(), 1u);
  EXPECT_EQ(*client.submit(kHello, "token"), graph);
  EXPECT_EQ(*client.submit(kHello, "another"), graph + 1);
  const auto again =
      client.ask([&](wire::Message::Builder message) { message.initCancel().setGraph(graph); });
  EXPECT_EQ(again.error().code, Code::kConflict);
  EXPECT_EQ(coordinator.stop(), 0);
}

TEST(CoordinatorProcess, OnAFullDiskSubmissionsAreRefusedWithWordsAndWhatWasAcceptedGoesOn) {
  CoordinatorProcess coordinator;
  coordinator.start();
  std::uint64_t graph = 0;
  {
    TestClient client(coordinator.endpoint());
    graph = *client.submit(kHello, "token");
  }
  coordinator.kill();
  coordinator.disk_reserve_bytes = std::numeric_limits<std::uint64_t>::max();
  coordinator.start();
  TestClient client(coordinator.endpoint());
  const auto refused = client.submit(kHello, "another");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kExhausted);
  EXPECT_NE(refused.error().message.find("free some and submit again"), std::string::npos);
  EXPECT_EQ(*client.submit(kHello, "token"), graph);  // it was accepted before
  TestWorker worker(coordinator.endpoint(), "a");
  worker.join();
  EXPECT_GT(worker.expect(wire::Message::START_RANKS).message().getStartRanks().getFence(), 0u);
}

TEST(CoordinatorProcess, APeerOfTheNextProtocolVersionIsToldWhatIsSpokenHere) {
  CoordinatorProcess coordinator;
  coordinator.start();
  TestClient client(coordinator.endpoint());
  const auto answer = client.ask([](wire::Message::Builder message) {
    message.setVersion(wire::PROTOCOL_VERSION + 1);
    message.initStatusRequest();
  });
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::kInvalid);
  EXPECT_EQ(answer.error().message, "protocol version " + std::to_string(wire::PROTOCOL_VERSION + 1) +
                                        " is not spoken here, " + std::to_string(wire::PROTOCOL_VERSION) +
                                        " is: use a program of the same release");
  EXPECT_EQ(client.status(0).message().getStatus().getGraphs().size(), 0u);  // it goes on
}

TEST(CoordinatorProcess, ASecondOneOnTheSameStateFolderIsRefused) {
  CoordinatorProcess coordinator;
  coordinator.start();
  CoordinatorOptions options;
  options.state = coordinator.folder() / "state";
  options.store = coordinator.folder() / "store";
  options.bind = "tcp://127.0.0.1:*";
  options.plain = true;
  const auto refused = run_coordinator(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace paddock::coordinator
