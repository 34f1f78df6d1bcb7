// What earlier versions left behind opens; what a later one left is refused with words.
#include <gtest/gtest.h>
#include <rocksdb/db.h>

#include <fstream>

#include "coordinator/journal.h"
#include "scheduler/apply.h"
#include "scheduler/invariants.h"
#include "storage/database.h"
#include "tests/temporary_folder.h"

namespace paddock::coordinator {
namespace {

using namespace scheduler;

void record(storage::Database& database, const std::string& file) {
  std::ifstream lines(std::string(PADDOCK_SOURCE_DIR) + "/tests/golden/journals/" + file);
  storage::Batch batch;
  std::uint64_t number = 0;
  for (std::string line; std::getline(lines, line); ++number)
    batch.put(storage::Column::kJournal, storage::key_of(number), line);
  ASSERT_GT(number, 0u);
  ASSERT_TRUE(database.write(batch));
}

JobState state_of(const Cluster& cluster, std::uint64_t graph, const char* job) {
  return cluster.graphs.at(GraphId{graph}).jobs.at(JobName{job}).state;
}

TEST(Upgrade, AJournalOfTheFirstFormatOpensAndGoesOnWithSnapshots) {
  TemporaryFolder folder;
  auto database = storage::Database::open(folder.path());
  ASSERT_TRUE(database);
  record(*database, "format-1.jsonl");
  auto journal = Journal::open(*database);
  ASSERT_TRUE(journal) << journal.error().message;
  Cluster cluster = *journal->restore();
  Effects ignored;
  const auto replayed = journal->replay([&](const Event& event) { apply(cluster, event, ignored); });
  ASSERT_TRUE(replayed) << replayed.error().message;
  EXPECT_TRUE(check_invariants(cluster).empty());
  ASSERT_EQ(cluster.graphs.size(), 3u);
  for (const char* job : {"first", "gang", "saved"})
    EXPECT_EQ(state_of(cluster, 1, job), JobState::kSucceeded) << job;
  EXPECT_EQ(state_of(cluster, 1, "fails"), JobState::kFailed);
  EXPECT_EQ(cluster.graphs.at(GraphId{1}).jobs.at(JobName{"first"}).artifacts.at("thing").hash,
            "0123456789abcdef");
  EXPECT_EQ(state_of(cluster, 2, "sleeps"), JobState::kCancelled);
  const Job& sleeps = cluster.graphs.at(GraphId{3}).jobs.at(JobName{"sleeps"});
  ASSERT_EQ(sleeps.attempts.size(), 2u);
  EXPECT_EQ(sleeps.attempts[0].outcome, Outcome::kNodeLost);
  EXPECT_EQ(sleeps.attempts[1].ranks[0].pid, 21'523);          // it runs on, and is known
  EXPECT_EQ(cluster.graphs.at(GraphId{3}).tenant, "default");  // a field that it did not have

  ASSERT_TRUE(journal->take_snapshot(cluster));
  auto again = Journal::open(*database);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE(*again->restore() == cluster);
  EXPECT_EQ(again->events_since_snapshot(), 0u);
}

TEST(Upgrade, AJournalWithAnEventOfALaterVersionIsRefused) {
  TemporaryFolder folder;
  auto database = storage::Database::open(folder.path());
  ASSERT_TRUE(database);
  record(*database, "format-1.jsonl");
  auto journal = Journal::open(*database);
  ASSERT_TRUE(journal);
  storage::Batch batch;
  batch.put(storage::Column::kJournal, storage::key_of(journal->next_sequence()),
            R"({"type":"node_upgraded","at_ms":1,"wall_ms":2})");
  ASSERT_TRUE(database->write(batch));
  const auto replayed = Journal::open(*database)->replay([](const Event&) {});
  ASSERT_FALSE(replayed);
  EXPECT_EQ(replayed.error().message,
            "journal record 41: event type 'node_upgraded' is not known; a newer version wrote it");
}

void set_row_0(storage::Database& database, const std::string& row) {
  storage::Batch batch;
  batch.put(storage::Column::kJournal, storage::key_of(0), row);
  ASSERT_TRUE(database.write(batch));
}

std::string row_0(const storage::Database& database) {
  const auto row = database.get(storage::Column::kJournal, storage::key_of(0));
  return row && *row ? **row : "";
}

std::string opened(storage::Database& database) {
  const auto journal = Journal::open(database);
  return journal ? "opened" : journal.error().message;
}

TEST(Upgrade, EventsThatNewerRulesDecidedAreNotReplayedOlderOnesAre) {
  TemporaryFolder folder;
  auto database = storage::Database::open(folder.path());
  ASSERT_TRUE(database);
  auto journal = Journal::open(*database);
  const Event event{Moment{}, NodeJoined{NodeId{"a"}, 1, "10.0.0.1", Offer{}, Instant{1}}};
  ASSERT_TRUE(journal->append({event}));
  const std::string newer = R"({"journal_format":2,"rules":)" + std::to_string(scheduler::kRules + 1) + "}";
  set_row_0(*database, newer);
  EXPECT_NE(opened(*database).find("was written by a newer version"), std::string::npos);
  set_row_0(*database, R"({"journal_format":2,"rules":1})");
  EXPECT_EQ(opened(*database), "opened");
  EXPECT_EQ(row_0(*database), R"({"journal_format":2,"rules":)" + std::to_string(scheduler::kRules) + "}");
  Cluster cluster;
  Effects ignored;
  apply(cluster, event, ignored);
  ASSERT_TRUE(journal->take_snapshot(cluster));
  EXPECT_EQ(opened(*database), "opened");
}

TEST(Upgrade, AColumnOfALaterVersionIsRefusedWithWords) {
  TemporaryFolder folder;
  { ASSERT_TRUE(storage::Database::open(folder.path())); }
  {
    rocksdb::DB* db = nullptr;
    std::vector<std::string> names;
    ASSERT_TRUE(rocksdb::DB::ListColumnFamilies(rocksdb::DBOptions(), folder.path().string(), &names).ok());
    std::vector<rocksdb::ColumnFamilyDescriptor> columns;
    for (const std::string& name : names) columns.emplace_back(name, rocksdb::ColumnFamilyOptions());
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    ASSERT_TRUE(rocksdb::DB::Open(rocksdb::DBOptions(), folder.path().string(), columns, &handles, &db).ok());
    rocksdb::ColumnFamilyHandle* later = nullptr;
    ASSERT_TRUE(db->CreateColumnFamily(rocksdb::ColumnFamilyOptions(), "prophecies", &later).ok());
    handles.push_back(later);
    for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle);
    delete db;
  }
  const auto refused = storage::Database::open(folder.path());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalid);
  EXPECT_NE(refused.error().message.find("a column 'prophecies' that this version does not know"),
            std::string::npos)
      << refused.error().message;
}

}  // namespace
}  // namespace paddock::coordinator
