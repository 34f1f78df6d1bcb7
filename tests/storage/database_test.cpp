#include "storage/database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

#include "tests/storage/faulty_environment.h"
#include "tests/temporary_folder.h"

namespace paddock::storage {
namespace {

using testing::ElementsAre;

Result<void> put(Database& database, const std::string& key, const std::string& value) {
  Batch batch;
  batch.put(Column::kJournal, key, value);
  return database.write(batch);
}

std::vector<std::string> values(const Database& database, std::string_view prefix = "",
                                std::string_view from = "") {
  std::vector<std::string> all;
  const auto scanned = database.scan(
      Column::kJournal, prefix,
      [&](std::string_view, std::string_view value) {
        all.emplace_back(value);
        return true;
      },
      from);
  EXPECT_TRUE(scanned);
  return all;
}

// The write-ahead log that holds the newest records.
fs::path newest_log(const fs::path& dir) {
  fs::path newest;
  for (const auto& entry : fs::directory_iterator(dir))
    if (entry.path().extension() == ".log" && entry.path() > newest) newest = entry.path();
  return newest;
}

void flip_bit(const fs::path& path, std::streamoff byte) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(byte);
  const char flipped = static_cast<char>(file.get() ^ 1);
  file.seekp(byte);
  file.put(flipped);
}

TEST(Database, KeepsWhatWasWrittenAndColumnsApart) {
  TemporaryFolder folder;
  {
    auto database = Database::open(folder.path() / "deep" / "db");
    ASSERT_TRUE(database) << database.error().message;
    Batch batch;
    batch.put(Column::kJournal, key_of(1), "one");
    batch.put(Column::kJournal, key_of(256), "later");
    batch.put(Column::kJournal, key_of(2), "two");
    batch.put(Column::kCache, "key", "value");
    batch.put(Column::kCache, "gone", "value");
    batch.erase(Column::kCache, "gone");
    ASSERT_TRUE(database->write(batch));
    EXPECT_EQ(Database::open(folder.path() / "deep" / "db").error().code,
              Code::kUnavailable);  // one at a time
  }
  auto database = Database::open(folder.path() / "deep" / "db");
  ASSERT_TRUE(database) << database.error().message;
  EXPECT_FALSE(database->torn_tail());
  EXPECT_THAT(values(*database), ElementsAre("one", "two", "later"));
  EXPECT_THAT(values(*database, "", key_of(2)), ElementsAre("two", "later"));
  EXPECT_THAT(values(*database, key_of(256)), ElementsAre("later"));
  EXPECT_EQ(number_of(**database->last_key(Column::kJournal)), 256u);
  EXPECT_EQ(*database->last_key(Column::kCheckpoints), std::nullopt);
  EXPECT_EQ(*database->get(Column::kCache, "key"), "value");
  EXPECT_EQ(*database->get(Column::kCache, "gone"), std::nullopt);
  EXPECT_EQ(*database->get(Column::kJournal, "key"), std::nullopt);
}

TEST(Database, TornEndOfTheLogLosesOnlyTheUnfinishedRecordAndSaysSo) {
  TemporaryFolder folder;
  {
    auto database = Database::open(folder.path());
    ASSERT_TRUE(database);
    ASSERT_TRUE(put(*database, "a", "first") && put(*database, "b", "second") &&
                put(*database, "c", "third"));
  }
  const fs::path log = newest_log(folder.path());
  fs::resize_file(log, fs::file_size(log) - 3);
  {
    auto database = Database::open(folder.path());
    ASSERT_TRUE(database) << database.error().message;
    EXPECT_TRUE(database->torn_tail());
    EXPECT_THAT(values(*database), ElementsAre("first", "second"));
    ASSERT_TRUE(put(*database, "c", "third again"));
  }
  auto database = Database::open(folder.path());
  ASSERT_TRUE(database) << database.error().message;
  EXPECT_FALSE(database->torn_tail());
  EXPECT_THAT(values(*database), ElementsAre("first", "second", "third again"));
}

constexpr int kReports = 3;  // the writer's file descriptor; standard output is GoogleTest's

// The writer: says each number that is durable, until it is killed.
[[noreturn]] void write_until_killed(const fs::path& dir) {
  auto database = Database::open(dir);
  for (std::uint64_t number = 0; database && put(*database, key_of(number), std::string(10'000, 'x'));
       ++number)
    if (::write(kReports, &number, sizeof number) != sizeof number) break;
  _exit(1);
}

TEST(Database, KilledWriterLosesNothingItWasToldIsDurable) {
  constexpr const char* kVariable = "PADDOCK_TEST_DATABASE";
  if (const char* dir = std::getenv(kVariable)) write_until_killed(dir);
  TemporaryFolder folder;
  std::uint64_t written = 0;
  for (const std::uint64_t more : {1, 40, 300}) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    const pid_t child = ::fork();
    if (child == 0) {
      // A program of its own, since RocksDB's threads do not outlive a fork.
      ::setenv(kVariable, (folder.path() / std::to_string(more)).c_str(), 1);
      ::dup2(ends[1], kReports);
      ::execl("/proc/self/exe", "storage_test", "--gtest_filter=Database.Killed*", "--gtest_print_time=0",
              "--gtest_brief=1", nullptr);
      _exit(2);
    }
    ::close(ends[1]);
    while (::read(ends[0], &written, sizeof written) == sizeof written && written + 1 < more) {
    }
    ::kill(child, SIGKILL);
    while (::read(ends[0], &written, sizeof written) == sizeof written) {
    }
    ::close(ends[0]);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    const auto database = Database::open(folder.path() / std::to_string(more));
    ASSERT_TRUE(database) << database.error().message;
    EXPECT_GE(values(*database).size(), more);
    EXPECT_GE(values(*database).size(), written + 1);
  }
}

TEST(Database, DamageInTheMiddleOfTheLogIsRefused) {
  TemporaryFolder folder;
  {
    auto database = Database::open(folder.path());
    ASSERT_TRUE(database);
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(put(*database, std::to_string(i), std::string(100, 'x')));
  }
  const fs::path log = newest_log(folder.path());
  flip_bit(log, static_cast<std::streamoff>(fs::file_size(log) / 2));
  EXPECT_EQ(Database::open(folder.path()).error().code, Code::kCorrupt);
}

TEST(Database, MissingTableIsRefused) {
  TemporaryFolder folder;
  {
    auto database = Database::open(folder.path());
    ASSERT_TRUE(database && put(*database, "a", "first"));
  }
  {
    auto database = Database::open(folder.path());  // the log above is flushed into a table here
    ASSERT_TRUE(database && put(*database, "b", "second"));
  }
  for (const auto& entry : fs::directory_iterator(folder.path()))
    if (entry.path().extension() == ".sst") fs::remove(entry.path());
  EXPECT_EQ(Database::open(folder.path()).error().code, Code::kCorrupt);
}

TEST(Database, ARangeIsErasedUpToItsEndAndWithTheRestOfItsBatch) {
  TemporaryFolder folder;
  auto database = Database::open(folder.path());
  ASSERT_TRUE(database);
  for (const char* key : {"a", "b", "c", "d"}) ASSERT_TRUE(put(*database, key, key));
  Batch batch;
  batch.erase_range(Column::kJournal, "b", "d");
  batch.put(Column::kJournal, "c2", "later in the batch");
  ASSERT_TRUE(database->write(batch));
  EXPECT_THAT(values(*database), ElementsAre("a", "later in the batch", "d"));
}

TEST(Database, WhereverThePowerFailsWhatWasWrittenIsThere) {
  bool is_done = false;
  for (std::uint64_t operation = 1; !is_done; ++operation) {
    TemporaryFolder folder;
    FaultyEnvironment machine;
    machine.fail_at(operation);
    std::size_t written = 0;
    {
      auto database = Database::open(folder.path(), machine.environment());
      while (database && written < 8 && put(*database, key_of(written), "value")) ++written;
    }
    is_done = !machine.has_failed();
    machine.lose_unsynced(operation);
    auto database = Database::open(folder.path(), machine.environment());
    ASSERT_TRUE(database) << "operation " << operation << ": " << database.error().message;
    EXPECT_GE(values(*database).size(), written) << "operation " << operation;
  }
}

}  // namespace
}  // namespace paddock::storage
