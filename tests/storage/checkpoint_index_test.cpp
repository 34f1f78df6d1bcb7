#include "storage/checkpoint_index.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/database.h"
#include "tests/storage/checkpoint_run.h"
#include "tests/storage/faulty_disk.h"
#include "tests/temporary_folder.h"

namespace paddock::storage {
namespace {

using testing::ElementsAre;

CheckpointInfo checkpoint(std::int64_t step, std::uint64_t fence) {
  return {
      .step = step, .fence = Fence(fence), .path = "/run/" + std::to_string(step), .hash = "h", .bytes = 9};
}

TEST(CheckpointIndex, ListsNewestFirstAndKeepsRunsApart) {
  TemporaryFolder folder;
  auto database = Database::open(folder.path());
  ASSERT_TRUE(database);
  CheckpointIndex index(*database);
  EXPECT_EQ(*index.newest("1/train"), std::nullopt);
  for (const std::int64_t step : {300, 5, 70'000}) ASSERT_TRUE(index.record("1/train", checkpoint(step, 1)));
  ASSERT_TRUE(index.record("1/train2", checkpoint(9'999, 1)));
  ASSERT_TRUE(index.record("1/train", checkpoint(5, 1)));
  EXPECT_THAT(*index.list("1/train"),
              ElementsAre(checkpoint(70'000, 1), checkpoint(300, 1), checkpoint(5, 1)));
  EXPECT_EQ(*index.newest("1/train"), checkpoint(70'000, 1));
}

TEST(CheckpointIndex, RunsAreForgottenByTheBeginningOfTheirNamesWithTheirFences) {
  TemporaryFolder folder;
  auto database = Database::open(folder.path());
  ASSERT_TRUE(database);
  CheckpointIndex index(*database);
  for (const char* run : {"1/train", "1/zebra", "10/train", "2/train"})
    ASSERT_TRUE(index.record(run, checkpoint(5, 3)));
  Batch forgotten;
  CheckpointIndex::forget_runs("1/", forgotten);
  CheckpointIndex::forget_runs("7/", forgotten);  // there is none
  ASSERT_TRUE(database->write(forgotten));
  EXPECT_EQ(index.list("1/train")->size(), 0u);
  EXPECT_EQ(index.list("1/zebra")->size(), 0u);
  EXPECT_EQ(index.list("10/train")->size(), 1u);
  EXPECT_EQ(index.list("2/train")->size(), 1u);
  EXPECT_TRUE(index.record("1/train", checkpoint(6, 1))) << "its fence is forgotten as well";
  EXPECT_EQ(index.record("2/train", checkpoint(6, 1)).error().code, Code::kFenced);
}

TEST(CheckpointIndex, OlderFenceIsRefusedAlsoAfterReopening) {
  TemporaryFolder folder;
  {
    auto database = Database::open(folder.path());
    ASSERT_TRUE(database);
    CheckpointIndex index(*database);
    ASSERT_TRUE(index.record("run", checkpoint(1, 3)));
    ASSERT_TRUE(index.record("run", checkpoint(2, 4)));
    EXPECT_EQ(index.record("run", checkpoint(3, 3)).error().code, Code::kFenced);
  }
  auto database = Database::open(folder.path());
  ASSERT_TRUE(database);
  CheckpointIndex index(*database);
  EXPECT_EQ(index.record("run", checkpoint(3, 3)).error().code, Code::kFenced);
  EXPECT_THAT(*index.list("run"), ElementsAre(checkpoint(2, 4), checkpoint(1, 3)));
}

TEST(CheckpointIndex, IsMadeAnewFromTheManifests) {
  TemporaryFolder folder;
  auto database = Database::open(folder.path());
  ASSERT_TRUE(database);
  CheckpointIndex index(*database);
  FaultyDisk disk;
  CheckpointRun run(disk);
  ASSERT_TRUE(run.claim(5));
  const auto one = run.write(1, 5, "one");
  const auto two = run.write(2, 5, "two");
  ASSERT_TRUE(one && two);
  ASSERT_TRUE(index.record("run", checkpoint(7, 4)));  // no longer on disk
  Batch garbage;
  garbage.put(Column::kCheckpoints, "srun" + std::string(1, '\0') + key_of(8), "not JSON");
  ASSERT_TRUE(database->write(garbage));
  EXPECT_EQ(index.list("run").error().code, Code::kCorrupt);
  EXPECT_EQ(*index.rebuild("run", disk, run.dir()), 2u);
  EXPECT_THAT(*index.list("run"), ElementsAre(*two, *one));
  EXPECT_EQ(index.record("run", checkpoint(3, 4)).error().code, Code::kFenced);
}

}  // namespace
}  // namespace paddock::storage
