// Power cuts and refusals at every single operation of a writer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/storage/checkpoint_run.h"
#include "tests/storage/faulty_disk.h"

namespace paddock::storage {
namespace {

using testing::AnyOf;

constexpr std::uint64_t kSeeds = 24;

// Runs `act` on a fresh run that has steps 1 and 2, the machine going down at its n-th operation, for every n
// and several draws of what survives; `check(run, was_told)` then sees the disk after the restart.
void at_every_operation(const std::function<bool(CheckpointRun&, FaultyDisk&)>& act,
                        const std::function<void(CheckpointRun&, FaultyDisk&, bool)>& check) {
  for (std::uint64_t operation = 0;; ++operation) {
    bool was_enough = false;
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      SCOPED_TRACE("operation " + std::to_string(operation) + " seed " + std::to_string(seed));
      FaultyDisk disk;
      CheckpointRun run(disk);
      ASSERT_TRUE(run.claim(1) && run.write(1, 1, "one") && run.write(2, 1, "two"));
      disk.crash_at(operation);
      const bool was_told = act(run, disk);
      was_enough = !disk.has_crashed();
      disk.restart(seed);
      check(run, disk, was_told);
      if (testing::Test::HasFatalFailure()) return;
    }
    if (was_enough) return;
  }
}

TEST(CheckpointCrash, LeavesTheNewestCommittedOrTheOneBefore) {
  at_every_operation([](CheckpointRun& run, FaultyDisk&) { return run.write(3, 1, "three").has_value(); },
                     [](CheckpointRun& run, FaultyDisk& disk, bool was_told) {
                       std::vector<std::string> damaged;
                       const std::string text = run.newest_text(&damaged);
                       ASSERT_THAT(text, AnyOf("two", "three"));
                       if (was_told) {
                         ASSERT_EQ(text, "three");
                       }
                       ASSERT_TRUE(damaged.empty())
                           << damaged[0];  // half of one is never seen as a checkpoint
                       ASSERT_TRUE(run.claim(2));
                       ASSERT_TRUE(run.write(3, 2, "three again"));
                       ASSERT_EQ(run.newest_text(), "three again");
                       const std::vector<std::string> names = *disk.list(run.dir() / "checkpoints");
                       for (const std::string& name : names)
                         ASSERT_TRUE(name.starts_with("step-") && !name.ends_with(".replaced")) << name;
                     });
}

TEST(CheckpointCrash, ReplacingAStepLeavesTheOldOrTheNew) {
  at_every_operation([](CheckpointRun& run, FaultyDisk&) { return run.write(2, 1, "two again").has_value(); },
                     [](CheckpointRun& run, FaultyDisk&, bool was_told) {
                       const std::string text = run.newest_text();
                       ASSERT_THAT(text, AnyOf("two", "two again"));
                       if (was_told) {
                         ASSERT_EQ(text, "two again");
                       }
                       ASSERT_TRUE(run.write(2, 1, "two once more"));
                       ASSERT_EQ(run.newest_text(), "two once more");
                     });
}

TEST(CheckpointCrash, ReplacingADamagedStepLeavesTheOneBeforeOrTheNew) {
  at_every_operation(
      [](CheckpointRun& run, FaultyDisk& disk) {
        disk.flip_bit(run.step_dir(2) / "model.safetensors", 1);
        return run.write(2, 1, "two again").has_value();
      },
      [](CheckpointRun& run, FaultyDisk&, bool was_told) {
        const std::string text = run.newest_text();
        ASSERT_THAT(text, AnyOf("one", "two again"));
        if (was_told) {
          ASSERT_EQ(text, "two again");
        }
        ASSERT_TRUE(run.write(3, 1, "three"));
        ASSERT_EQ(run.newest_text(), "three");
      });
}

TEST(CheckpointCrash, PruningNeverHarmsWhatStays) {
  at_every_operation(
      [](CheckpointRun& run, FaultyDisk& disk) {
        return run.write(3, 1, "three") && run.write(4, 1, "four") && prune_checkpoints(disk, run.dir(), 2);
      },
      [](CheckpointRun& run, FaultyDisk& disk, bool was_told) {
        std::vector<std::string> damaged;
        ASSERT_THAT(run.newest_text(&damaged), AnyOf("two", "three", "four"));
        ASSERT_TRUE(damaged.empty());
        const auto whole = list_checkpoints(disk, run.dir());
        ASSERT_TRUE(whole);
        ASSERT_GE(whole->size(), 2u);
        for (const CheckpointInfo& info : *whole) ASSERT_TRUE(load_checkpoint(disk, info.path)) << info.path;
        if (was_told) {
          ASSERT_EQ(whole->size(), 2u);
        }
      });
}

TEST(CheckpointCrash, ClaimIsOldOrNew) {
  at_every_operation([](CheckpointRun& run, FaultyDisk&) { return run.claim(2).has_value(); },
                     [](CheckpointRun& run, FaultyDisk& disk, bool was_told) {
                       const auto owner = owner_of_run(disk, run.dir());
                       ASSERT_TRUE(owner && *owner);
                       ASSERT_TRUE(*owner == Fence(2) || (!was_told && *owner == Fence(1)));
                       ASSERT_EQ(run.newest_text(), "two");
                     });
}

TEST(CheckpointCrash, DiskThatRefusesAnyOneOperationCostsNothing) {
  for (const Code code : {Code::kExhausted, Code::kUnavailable}) {
    bool was_enough = false;
    for (std::uint64_t operation = 0; !was_enough; ++operation) {
      SCOPED_TRACE(operation);
      FaultyDisk disk;
      CheckpointRun run(disk);
      ASSERT_TRUE(run.claim(1) && run.write(1, 1, "one") && run.write(2, 1, "two"));
      disk.fail_at(operation, code);
      const auto written = run.write(2, 1, "two again");
      was_enough = !disk.has_failed();
      if (!written) {
        EXPECT_EQ(written.error().code, code);
      }
      EXPECT_THAT(run.newest_text(), AnyOf("two again", written ? "two again" : "two"));
      if (was_enough) break;  // the fault is still to come
      ASSERT_TRUE(run.write(2, 1, "retried"));
      EXPECT_EQ(run.newest_text(), "retried");
    }
  }
}

}  // namespace
}  // namespace paddock::storage
