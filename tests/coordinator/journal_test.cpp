#include "coordinator/journal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "storage/database.h"
#include "tests/temporary_folder.h"

namespace paddock::coordinator {
namespace {

using namespace scheduler;

Event cancelled(std::uint64_t graph) {
  return Event{Moment{Instant{1}, WallTime{2}}, GraphCancelled{GraphId{graph}, "reason"}};
}

class JournalTest : public ::testing::Test {
 protected:
  // The graphs of all events in the journal, from a fresh opening.
  std::vector<std::uint64_t> reopened() {
    std::vector<std::uint64_t> graphs;
    auto database = storage::Database::open(folder_.path());
    EXPECT_TRUE(database) << (database ? "" : database.error().message);
    if (!database) return graphs;
    auto journal = Journal::open(*database);
    EXPECT_TRUE(journal);
    const auto replayed = journal->replay(
        [&](const Event& event) { graphs.push_back(std::get<GraphCancelled>(event.what).graph.value); });
    EXPECT_TRUE(replayed) << (replayed ? "" : replayed.error().message);
    return graphs;
  }

  TemporaryFolder folder_;
};

TEST_F(JournalTest, KeepsEventsInOrderOverReopening) {
  for (std::uint64_t round = 0; round < 3; ++round) {
    auto database = storage::Database::open(folder_.path());
    ASSERT_TRUE(database);
    auto journal = Journal::open(*database);
    ASSERT_TRUE(journal);
    ASSERT_TRUE(journal->append({cancelled(round * 2 + 1), cancelled(round * 2 + 2)}));
  }
  EXPECT_EQ(reopened(), (std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6}));
}

TEST_F(JournalTest, PassesOverHeartbeats) {
  auto database = storage::Database::open(folder_.path());
  ASSERT_TRUE(database);
  auto journal = Journal::open(*database);
  ASSERT_TRUE(journal);
  ASSERT_TRUE(journal->append({Event{{}, NodeSeen{NodeId{"a"}, 1, Instant{1}}}}));
  EXPECT_EQ(journal->next_sequence(), 1u);
}

TEST_F(JournalTest, ATornLastWriteLosesOnlyWhatNobodyWasToldOf) {
  {
    auto database = storage::Database::open(folder_.path());
    ASSERT_TRUE(database);
    auto journal = Journal::open(*database);
    ASSERT_TRUE(journal);
    for (std::uint64_t graph = 1; graph <= 5; ++graph) ASSERT_TRUE(journal->append({cancelled(graph)}));
  }
  // The newest write-ahead log, cut within its last record.
  std::filesystem::path newest;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    if (entry.path().extension() == ".log" && entry.file_size() > 0) newest = std::max(newest, entry.path());
  }
  ASSERT_FALSE(newest.empty());
  std::filesystem::resize_file(newest, std::filesystem::file_size(newest) - 3);
  EXPECT_EQ(reopened(), (std::vector<std::uint64_t>{1, 2, 3, 4}));
}

TEST_F(JournalTest, AMissingRecordIsFound) {
  auto database = storage::Database::open(folder_.path());
  ASSERT_TRUE(database);
  auto journal = Journal::open(*database);
  ASSERT_TRUE(journal);
  ASSERT_TRUE(journal->append({cancelled(1), cancelled(2), cancelled(3)}));
  storage::Batch batch;
  batch.erase(storage::Column::kJournal, storage::key_of(2));
  ASSERT_TRUE(database->write(batch));
  const auto replayed = journal->replay([](const Event&) {});
  ASSERT_FALSE(replayed);
  EXPECT_EQ(replayed.error().code, Code::kCorrupt);
  EXPECT_EQ(replayed.error().message, "journal record 2 is missing");
}

}  // namespace
}  // namespace paddock::coordinator
