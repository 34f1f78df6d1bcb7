#include "storage/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/hash.h"
#include "tests/storage/checkpoint_run.h"
#include "tests/storage/faulty_disk.h"
#include "tests/temporary_folder.h"

namespace paddock::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Checkpoint, ReadsBackWhatWasWrittenOnARealDisk) {
  TemporaryFolder folder;
  RealDisk disk;
  CheckpointRun run(disk, folder.path() / "run");
  ASSERT_TRUE(run.claim(7));
  const auto written = run.write(100, 7, "one");
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_EQ(written->path, run.step_dir(100));
  auto loaded = load_newest_checkpoint(disk, run.dir(), nullptr);
  ASSERT_TRUE(loaded) << loaded.error().message;
  const Checkpoint moved = *std::move(loaded);
  EXPECT_EQ(moved.info(), *written);
  EXPECT_EQ(CheckpointRun::text_in(moved), "one");
  EXPECT_EQ(moved.tensors().size(), 3u);
  EXPECT_EQ(moved.tensors("model.safetensors")->at(1).name, "student/bias");
  EXPECT_EQ(moved.tensors("none.safetensors").error().code, Code::kNotFound);
  EXPECT_THAT(moved.tensor("none").error().message, HasSubstr("\"none\""));
  EXPECT_EQ(*inspect_checkpoint(disk, run.step_dir(100) / ""), *written);
  EXPECT_EQ(*xxh3_hex_of_file(disk, run.step_dir(100) / "manifest.json"), written->hash);
}

TEST(Checkpoint, SameContentHasTheSameIdentity) {
  FaultyDisk one, two;
  CheckpointRun here(one), there(two, "/elsewhere/run");
  ASSERT_TRUE(here.claim(1));
  ASSERT_TRUE(there.claim(1));
  EXPECT_EQ(here.write(5, 1, "x")->hash, there.write(5, 1, "x")->hash);
  EXPECT_NE(here.write(6, 1, "y")->hash, there.write(6, 1, "z")->hash);
}

TEST(Checkpoint, RunWithoutOneSaysSo) {
  FaultyDisk disk;
  CheckpointRun run(disk);
  EXPECT_EQ(run.newest_text(), "not_found");
  EXPECT_TRUE(list_checkpoints(disk, run.dir())->empty());
  EXPECT_EQ(*owner_of_run(disk, run.dir()), std::nullopt);
  EXPECT_EQ(load_checkpoint(disk, run.step_dir(1)).error().code, Code::kNotFound);
}

// Every bit of a checkpoint this small: none may flip unseen, and the message says where.
TEST(Checkpoint, EveryFlippedBitIsDetectedAndNamed) {
  FaultyDisk disk;
  CheckpointRun run(disk);
  ASSERT_TRUE(run.claim(1));
  ASSERT_TRUE(run.write(1, 1, "older"));
  ASSERT_TRUE(run.write(2, 1, "newer"));
  const std::vector<std::string> names = *disk.list(run.step_dir(2));
  for (const std::string& name : names) {
    const fs::path path = run.step_dir(2) / name;
    const std::uint64_t bits = 8 * read_file(disk, path)->size();
    for (std::uint64_t bit = 0; bit < bits; ++bit) {
      disk.flip_bit(path, bit);
      std::vector<std::string> damaged;
      ASSERT_EQ(run.newest_text(&damaged), "older") << name << " bit " << bit;
      ASSERT_THAT(damaged, ElementsAre(HasSubstr(name))) << bit;
      disk.flip_bit(path, bit);
    }
  }
  EXPECT_EQ(run.newest_text(), "newer");
}

TEST(Checkpoint, DamagedTensorIsNamed) {
  FaultyDisk disk;
  CheckpointRun run(disk);
  ASSERT_TRUE(run.claim(1));
  ASSERT_TRUE(run.write(1, 1, "x"));
  const fs::path path = run.step_dir(1) / "model.safetensors";
  disk.flip_bit(path, 8 * (read_file(disk, path)->size() - 1));  // the last byte is the bias
  std::vector<std::string> damaged;
  EXPECT_EQ(run.newest_text(&damaged), "not_found");
  EXPECT_THAT(
      damaged,
      ElementsAre(HasSubstr("model.safetensors: tensor \"student/bias\" does not have the recorded hash")));
}

TEST(Checkpoint, MissingAndShortenedFilesAreDamageToo) {
  FaultyDisk disk;
  CheckpointRun run(disk);
  ASSERT_TRUE(run.claim(1));
  for (std::int64_t step = 1; step <= 4; ++step) ASSERT_TRUE(run.write(step, 1, std::to_string(step)));
  ASSERT_TRUE(disk.remove_all(run.step_dir(4) / "optimizer.safetensors"));
  ASSERT_TRUE(disk.remove_all(run.step_dir(3) / "manifest.xxh128"));
  disk.truncate(run.step_dir(2) / "model.safetensors", 20);
  std::vector<std::string> damaged;
  EXPECT_EQ(run.newest_text(&damaged), "1");
  EXPECT_THAT(damaged, ElementsAre(HasSubstr("optimizer.safetensors"), HasSubstr("manifest.xxh128"),
                                   HasSubstr("model.safetensors: it has 20 bytes instead of")));
  EXPECT_EQ(list_checkpoints(disk, run.dir())->size(), 1u);  // even the cheap look sees these
}

TEST(Checkpoint, RewritingADamagedStepKeepsTheDamagedOneAside) {
  FaultyDisk disk;
  CheckpointRun run(disk);
  ASSERT_TRUE(run.claim(1));
  ASSERT_TRUE(run.write(1, 1, "older"));
  ASSERT_TRUE(run.write(2, 1, "damaged"));
  disk.flip_bit(run.step_dir(2) / "model.safetensors", 3);
  ASSERT_TRUE(run.claim(2));
  ASSERT_TRUE(run.write(2, 2, "again"));
  EXPECT_EQ(run.newest_text(), "again");
  EXPECT_THAT(*disk.list(run.dir() / "checkpoints"),
              ElementsAre("damaged-step-0000000002-1", "step-0000000001", "step-0000000002"));
}

TEST(Checkpoint, RewritingAWholeStepReplacesIt) {
  FaultyDisk disk;
  CheckpointRun run(disk);
  ASSERT_TRUE(run.claim(1));
  ASSERT_TRUE(run.write(2, 1, "first"));
  ASSERT_TRUE(run.write(2, 1, "second"));
  EXPECT_EQ(run.newest_text(), "second");
  EXPECT_THAT(*disk.list(run.dir() / "checkpoints"), ElementsAre("step-0000000002"));
}

TEST(Checkpoint, OlderFenceCannotClaimNorCommit) {
  FaultyDisk disk;
  CheckpointRun run(disk);
  EXPECT_EQ(run.write(1, 1, "unclaimed").error().code, Code::kInvalid);
  ASSERT_TRUE(run.claim(1));
  ASSERT_TRUE(run.claim(1));
  ASSERT_TRUE(run.write(1, 1, "first attempt"));
  ASSERT_TRUE(run.claim(2));
  EXPECT_EQ(run.claim(1).error().code, Code::kFenced);
  EXPECT_EQ(run.write(2, 1, "stale").error().code, Code::kFenced);
  EXPECT_EQ(run.write(2, 3, "not yet").error().code, Code::kInvalid);
  EXPECT_EQ(run.newest_text(), "first attempt");
  EXPECT_EQ(*owner_of_run(disk, run.dir()), Fence(2));
}

TEST(Checkpoint, ContentThatBreaksTheRulesIsRefused) {
  FaultyDisk disk;
  CheckpointRun run(disk);
  ASSERT_TRUE(run.claim(1));
  const auto code_after = [&](auto change) {
    CheckpointContent content = CheckpointRun::content(1, 1, "x", "w", "m");
    change(content);
    const auto written = write_checkpoint(disk, run.dir(), content);
    return written ? Code::kConflict : written.error().code;
  };
  EXPECT_EQ(code_after([](auto& content) { content.step = -1; }), Code::kInvalid);
  EXPECT_EQ(code_after([](auto& content) { content.files[0].first = "../x.safetensors"; }), Code::kInvalid);
  EXPECT_EQ(code_after([](auto& content) { content.files[0].first = "manifest.json"; }), Code::kInvalid);
  EXPECT_EQ(code_after([](auto& content) { content.files[1].first = content.files[0].first; }),
            Code::kInvalid);
  EXPECT_EQ(code_after([](auto& content) { content.files[1].second[0].name = "student/bias"; }),
            Code::kInvalid);
  EXPECT_EQ(code_after([](auto& content) { content.files[1].second[0].shape = {9}; }), Code::kInvalid);
  EXPECT_EQ(code_after([](auto& content) { content.state = "\xFF"; }), Code::kInvalid);
  EXPECT_TRUE(disk.list(run.dir() / "checkpoints")->empty());
}

TEST(Checkpoint, PruningKeepsTheNewestAndThePinned) {
  FaultyDisk disk;
  CheckpointRun run(disk);
  ASSERT_TRUE(run.claim(1));
  for (std::int64_t step = 1; step <= 7; ++step) ASSERT_TRUE(run.write(step, 1, std::to_string(step)));
  disk.truncate(run.step_dir(6) / "model.safetensors", 1);  // damaged: neither counted nor removed
  EXPECT_THAT(*prune_checkpoints(disk, run.dir(), 0, {1, 3}), ElementsAre(4, 2));
  EXPECT_THAT(*disk.list(run.dir() / "checkpoints"),
              ElementsAre("step-0000000001", "step-0000000003", "step-0000000005", "step-0000000006",
                          "step-0000000007"));
  EXPECT_TRUE(prune_checkpoints(disk, run.dir(), 4, {})->empty());
}

}  // namespace
}  // namespace paddock::storage
