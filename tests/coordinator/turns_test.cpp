// What comes in one turn is decided together, and a replay decides it as it was decided then: the journal has all of the turn
// but the heartbeats.
#include <gtest/gtest.h>

#include "coordinator/journal.h"
#include "tests/coordinator/stepped_coordinator.h"

namespace paddock::coordinator {
namespace {

using namespace scheduler;

// One node with one core.
class TurnStory : public SteppedCoordinator {
 public:
  TurnStory() : SteppedCoordinator(WallTime{1'795'831'080'000}) {
    start();
    leave([](wire::Message::Builder message) {
      auto join = message.initJoin();
      join.setNode("a");
      join.setIncarnation(42);
      join.setCpus(1);
      join.setMemoryBytes(1u << 30);
      join.initPorts(2).set(0, 29'500);
      join.getPorts().set(1, 29'501);
      join.setFirstReport(1);
      join.setSequence(1);
      join.setFollows(1);
    });
    turn();
  }

  void leave_end_of(std::uint64_t fence) {
    leave([&](wire::Message::Builder message) {
      auto reports = message.initReports();
      reports.setNode("a");
      reports.setIncarnation(42);
      reports.setAfter(reported_);
      auto report = reports.initReports(1)[0];
      report.setNumber(++reported_);
      report.setFence(fence);
      report.initEnded().setReason("exited 0");
    });
  }
  void leave_heartbeat() {
    leave([](wire::Message::Builder message) {
      auto heartbeat = message.initHeartbeat();
      heartbeat.setNode("a");
      heartbeat.setIncarnation(42);
      heartbeat.setSequence(2);
    });
  }
  void leave_submission(std::int64_t priority, const char* token) {
    leave([&](wire::Message::Builder message) {
      auto submit = message.initSubmit();
      submit.setSpec("graph: g\npriority: " + std::to_string(priority) +
                     "\njobs: { a: { kind: command, command: [x] } }");
      submit.setFile("g.yaml");
      submit.setToken(token);
    });
  }
  // By graph.
  std::vector<std::string_view> states() const {
    std::vector<std::string_view> all;
    for (const auto& [id, graph] : cluster().graphs) all.push_back(name_of(graph.jobs.begin()->second.state));
    return all;
  }

 private:
  std::uint64_t reported_ = 0;
};

TEST(Turns, AHeartbeatAtTheEndOfATurnDecidesNothingThatAReplayDoesNotKnowOf) {
  TurnStory story;
  story.leave_submission(0, "runs");
  story.leave_submission(0, "next");
  story.turn();
  story.pass(Millis(1'000));
  story.leave_end_of(1);
  story.leave_heartbeat();
  story.turn();
  story.pass(Millis(1'000));
  story.leave_submission(5, "urgent");
  story.leave_heartbeat();
  story.turn();
  const std::vector<std::string_view> before = story.states();
  ASSERT_EQ(before, (std::vector<std::string_view>{"succeeded", "running", "queued"}));
  story.die();
  story.start();
  EXPECT_EQ(story.states(), before);
}

std::vector<bool> followed_after_replay(const std::vector<Event>& events) {
  TemporaryFolder folder;
  auto database = storage::Database::open(folder.path());
  EXPECT_TRUE(database);
  auto journal = Journal::open(*database);
  EXPECT_TRUE(journal && journal->append(events));
  std::vector<bool> followed;
  EXPECT_TRUE(journal->replay([&](const Event& event) { followed.push_back(event.is_followed); }));
  return followed;
}

// Programs of before wrote the last record of a turn as followed where a heartbeat came after it.
TEST(Turns, OfAJournalOfBeforeATurnEndsWhereTheNextBegins) {
  const auto at = [](std::int64_t ms, bool is_followed) {
    return Event{Moment{Instant{ms}, WallTime{ms}}, NodeResumed{NodeId{"a"}}, is_followed};
  };
  EXPECT_EQ(followed_after_replay({at(1, true), at(1, false), at(2, true), at(3, true), at(3, true)}),
            (std::vector<bool>{true, false, false, true, false}));
}

}  // namespace
}  // namespace paddock::coordinator
