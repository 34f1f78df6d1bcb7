// What ended graphs leave behind goes by age and by number, and nothing else goes.
#include "coordinator/retention.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/limits.h"
#include "coordinator/answers.h"
#include "coordinator/log_store.h"
#include "coordinator/room.h"
#include "storage/checkpoint_index.h"
#include "storage/database.h"
#include "tests/coordinator/stepped_coordinator.h"
#include "tests/temporary_folder.h"

namespace paddock::coordinator {
namespace {

using namespace scheduler;

// Graphs 1 to 10 of three jobs, of which graph i ended after i seconds, in the archive with their output.
class RetentionTest : public ::testing::Test {
 protected:
  RetentionTest() {
    log_.quiet();
    database_.emplace(*storage::Database::open(folder_.path() / "db"));
    archive_.emplace(*database_);
    room_.emplace(folder_.path(), 0, log_);
    logs_.emplace(folder_.path() / "logs", 1'000, *room_);
    checkpoints_.emplace(*database_);
    for (std::uint64_t i = 1; i <= 10; ++i) {
      Graph& graph = cluster_.graphs[GraphId{i}];
      graph.id = GraphId{i};
      graph.state = GraphState::kSucceeded;
      graph.ended = WallTime{static_cast<std::int64_t>(i) * 1'000};
      for (const char* job : {"a", "b", "c"}) graph.jobs[JobName{job}];
      cluster_.tokens["t" + std::to_string(i)] = GraphId{i};
      EXPECT_TRUE(checkpoints_->record(
          run_of(i), {.step = 1, .fence = Fence{i}, .path = "/p", .hash = "h", .bytes = 1}));
      ids_.push_back(GraphId{i});
      EXPECT_TRUE(logs_->write(log_of(i), 0, std::as_bytes(std::span("output"))));
    }
    EXPECT_TRUE(database_->write(Archive::rows_of(cluster_, ids_)));
  }
  static LogKey log_of(std::uint64_t graph) { return {JobKey{GraphId{graph}, JobName{"a"}}, 1, 0}; }
  static std::string run_of(std::uint64_t graph) { return run_name({GraphId{graph}, JobName{"a"}}); }
  // Until nothing is left to do.
  void look(Retention& retention, std::int64_t now_ms) {
    for (int i = 0; i < 100; ++i) {
      const auto more = retention.look(WallTime{now_ms});
      ASSERT_TRUE(more) << more.error().message;
      if (!*more && archive_->gone(1)->empty()) return;
    }
    FAIL() << "it never ends";
  }
  Retention retention() { return Retention(options_, *archive_, *logs_, log_); }
  std::vector<std::uint64_t> left() const {
    std::vector<std::uint64_t> ids;
    const auto newest = archive_->newest();
    for (const Graph& graph : *newest) ids.push_back(graph.id.value);
    return ids;
  }
  bool has_checkpoints(std::uint64_t graph) {
    return !storage::CheckpointIndex(*database_).list(run_name(log_of(graph).job))->empty();
  }
  bool has_output(std::uint64_t graph) const { return logs_->size(log_of(graph)) > 0; }

  TemporaryFolder folder_;
  Log log_;
  Cluster cluster_;
  std::vector<GraphId> ids_;
  std::optional<storage::Database> database_;
  std::optional<Archive> archive_;
  std::optional<Room> room_;
  std::optional<LogStore> logs_;
  std::optional<storage::CheckpointIndex> checkpoints_;
  CoordinatorOptions options_;
};

TEST_F(RetentionTest, WithoutABoundEverythingStays) {
  Retention keeps = retention();
  look(keeps, 1'000'000'000);
  EXPECT_EQ(left().size(), 10u);
}

TEST_F(RetentionTest, WhatEndedLongAgoIsGoneWithItsOutputAndItsToken) {
  options_.keep_archive = Millis(5'000);
  Retention keeps = retention();
  look(keeps, 9'500);
  EXPECT_EQ(left(), (std::vector<std::uint64_t>{5, 6, 7, 8, 9, 10}));
  for (std::uint64_t graph = 1; graph <= 10; ++graph) EXPECT_EQ(has_output(graph), graph >= 5) << graph;
  Cluster past;
  EXPECT_FALSE(*archive_->find(GraphId{4}, past));
  EXPECT_TRUE(*archive_->find(GraphId{5}, past));
  EXPECT_FALSE(*archive_->with_token("t4"));
  EXPECT_TRUE(*archive_->with_token("t5"));
}

TEST_F(RetentionTest, WhatIsKnownOfItsCheckpointsGoesWithIt) {
  options_.keep_archive = Millis(9'000);
  Retention keeps = retention();
  look(keeps, 10'500);  // graph 1 goes, and nothing of 10
  for (std::uint64_t graph = 1; graph <= 10; ++graph) EXPECT_EQ(has_checkpoints(graph), graph >= 2) << graph;
  // Nor does its fence stand in anybody's way.
  EXPECT_TRUE(storage::CheckpointIndex(*database_).record("1/a", {5, Fence{0}, "/store/5", "hash", 1}));
}

// Output of graph 2 that refuses to go, for as long as it is told.
class StuckLogs : public Logs {
 public:
  explicit StuckLogs(Logs& logs) : logs_(logs) {}
  bool is_stuck = true;
  int tries = 0;

  std::uint64_t size(const LogKey& key) const override { return logs_.size(key); }
  Result<void> write(const LogKey& key, std::uint64_t offset, std::span<const std::byte> bytes) override {
    return logs_.write(key, offset, bytes);
  }
  Result<Piece> read(const LogKey& key, std::uint64_t offset) const override {
    return logs_.read(key, offset);
  }
  Result<bool> remove_some(GraphId graph, std::size_t files_max) override {
    tries += graph == GraphId{2} ? 1 : 0;
    if (graph == GraphId{2} && is_stuck) return fail(Code::kUnavailable, "/logs/2: Permission denied");
    return logs_.remove_some(graph, files_max);
  }

 private:
  Logs& logs_;
};

TEST_F(RetentionTest, OutputThatCannotBeRemovedIsSaidOnceKeepsNoOtherAndGoesWhenItCan) {
  options_.keep_archive = Millis(5'000);
  StuckLogs stuck(*logs_);
  const auto file = folder_.path() / "log";
  Log log;
  log.quiet();
  ASSERT_TRUE(log.open_file(file));
  Retention keeps(options_, *archive_, stuck, log);
  const auto is_idle = [&] { return !*keeps.look(WallTime{9'500}); };
  for (int round = 0; round < 3; ++round) {
    int looks = 0;
    while (!is_idle()) ASSERT_LT(++looks, 100) << "it never ends";
  }
  for (std::uint64_t graph = 1; graph <= 4; ++graph) EXPECT_EQ(has_output(graph), graph == 2) << graph;
  EXPECT_GE(stuck.tries, 3) << "it is tried again";
  std::ifstream lines(file);
  int said = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("logs_not_removed") == std::string::npos) continue;
    ++said;
    EXPECT_NE(line.find("/logs/2: Permission denied; remove it by hand"), std::string::npos) << line;
  }
  EXPECT_EQ(said, 1);
  stuck.is_stuck = false;
  while (!is_idle()) {
  }
  EXPECT_FALSE(has_output(2));
  EXPECT_TRUE(archive_->gone(1)->empty());
}

TEST_F(RetentionTest, OfTooManyJobsTheGraphsThatEndedFirstGo) {
  options_.archive_jobs_max = 12;
  Retention keeps = retention();
  look(keeps, 20'000);
  EXPECT_EQ(left(), (std::vector<std::uint64_t>{7, 8, 9, 10}));
  EXPECT_EQ(archive_->jobs(), 12u);
}

TEST_F(RetentionTest, OutputThatWasNotRemovedYetIsAfterARestart) {
  options_.keep_archive = Millis(5'000);
  Retention before = retention();
  ASSERT_TRUE(before.look(WallTime{9'500}));  // the rows are gone, the output not yet
  EXPECT_TRUE(has_output(1));
  Retention after = retention();
  look(after, 9'500);
  EXPECT_FALSE(has_output(1));
}

TEST_F(RetentionTest, WhatAnOlderVersionArchivedIsFoundByItsEndAsWell) {
  storage::Batch rows;
  rows.erase_range(storage::Column::kArchive, "ended/", "ended0");
  ASSERT_TRUE(database_->write(rows));
  options_.keep_archive = Millis(5'000);
  options_.archive_jobs_max = 9;
  Retention keeps = retention();
  look(keeps, 9'500);
  EXPECT_EQ(left(), (std::vector<std::uint64_t>{8, 9, 10}));
  EXPECT_FALSE(*archive_->with_token("t4"));
}

void join(SteppedCoordinator& cluster) {
  cluster.tell([](wire::Message::Builder message) {
    auto join = message.initJoin();
    join.setNode("a");
    join.setIncarnation(7);
    join.setCpus(1);
    join.initPorts(1).set(0, 29'500);
    join.setSequence(1);
    join.setFirstReport(1);
    join.setFollows(1);
  });
}

// Of the only rank of the first attempt: a checkpoint, and its good end.
void save_and_end(SteppedCoordinator& cluster) {
  cluster.tell([](wire::Message::Builder message) {
    auto reports = message.initReports();
    reports.setNode("a");
    reports.setIncarnation(7);
    auto list = reports.initReports(2);
    list[0].setNumber(1);
    list[0].setFence(1);
    auto saved = list[0].initCheckpoint();
    saved.setStep(10);
    saved.setPath("/store/10");
    saved.setHash("hash");
    list[1].setNumber(2);
    list[1].setFence(1);
    list[1].initEnded().setReason("exited 0");
  });
}

TEST(RetentionAndReplay, CheckpointsOfARemovedGraphAreNotRecordedAgainByTheNextStart) {
  SteppedCoordinator cluster(WallTime{1'700'000'000'000});
  cluster.given.keep_ended = Millis(1'000);
  cluster.given.keep_archive = Millis(2'000);
  cluster.start();
  join(cluster);
  cluster.tell([](wire::Message::Builder message) {
    auto submit = message.initSubmit();
    submit.setSpec("graph: g\njobs:\n  j: {kind: command, command: [x]}\n");
    submit.setFile("g.yaml");
    submit.setToken("token");
  });
  save_and_end(cluster);
  const auto listed = [&] { return storage::CheckpointIndex(cluster.tables()).list("1/j")->size(); };
  EXPECT_EQ(listed(), 1u);
  cluster.live(std::chrono::seconds(60));
  EXPECT_EQ(listed(), 0u);
  cluster.die();
  cluster.start();
  EXPECT_EQ(listed(), 0u);
}

// The coordinator does nothing else meanwhile, so it is done in pieces.
TEST_F(RetentionTest, TheArchiveIsListedAFewRowsAtATimeAndWhatIsArchivedMeanwhileCountsOnce) {
  storage::Batch rows;
  rows.erase_range(storage::Column::kArchive, "ended/", "ended0");
  ASSERT_TRUE(database_->write(rows));
  ASSERT_TRUE(database_->write(Archive::rows_of(cluster_, {GraphId{1}, GraphId{2}, GraphId{3}, GraphId{4}})));
  int pieces = 1;
  for (; !*archive_->list_by_end(2); ++pieces) {
    if (pieces != 1) continue;
    // One that ended before those that were counted already, as a clock set back makes it, and one after all.
    for (const auto& [id, ended] : {std::pair(20u, 500), std::pair(21u, 99'000)}) {
      Graph& graph = cluster_.graphs[GraphId{id}] = cluster_.graphs.at(GraphId{1});
      graph.id = GraphId{id};
      graph.ended = WallTime{ended};
    }
    const std::vector<GraphId> added{GraphId{20}, GraphId{21}};
    ASSERT_TRUE(database_->write(Archive::rows_of(cluster_, added)));
    archive_->note_added(cluster_, added);
  }
  // The rows of 4 graphs and the one that came behind them, of 12 graphs, and of 10 tokens.
  EXPECT_EQ(pieces, 3 + 6 + 5);
  EXPECT_EQ(archive_->jobs(), 12u * 3);
  const auto oldest = archive_->oldest(100);
  ASSERT_EQ(oldest->size(), 12u);
  EXPECT_EQ(oldest->at(0).id, GraphId{20});
  for (std::size_t i = 1; i <= 10; ++i) EXPECT_EQ(oldest->at(i).token, "t" + std::to_string(i));
}

}  // namespace
}  // namespace paddock::coordinator
