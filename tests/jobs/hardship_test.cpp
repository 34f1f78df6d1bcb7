// What a cluster does to a run: kills at any instant, full and read-only disks, damaged files, ranks that stop answering. Each
// ends in a clear state, and in the bits of the undisturbed run as soon as it is let.
#include <poll.h>
#include <sys/mount.h>

#include <chrono>
#include <cstdlib>
#include <fstream>

#include "attempt.h"
#include "base/random.h"

namespace paddock::jobs {
namespace {

using Clock = std::chrono::steady_clock;

int kills_wanted() {
  const char* text = std::getenv("PADDOCK_KILLS");
  return text == nullptr ? 20 : std::atoi(text);
}

class HardshipTest : public RunsTest, public testing::WithParamInterface<int> {
 protected:
  const std::vector<int> all_done_ = std::vector<int>(static_cast<std::size_t>(GetParam()), 0);
};

// Instants over the whole life of an attempt: loading, the step, writing a checkpoint (one a step), renaming and recording it.
TEST_P(HardshipTest, KilledAtRandomInstantsEndsInTheSameBits) {
  write_spec(60, "softmax", 1);
  const auto undisturbed = folder_.path() / "undisturbed";
  const auto begin = Clock::now();
  ASSERT_EQ(Attempt("pretrain", spec_, undisturbed, GetParam()).wait(), all_done_);
  const auto life = std::chrono::duration<double>(Clock::now() - begin).count();
  const std::string wanted = outcome(undisturbed);
  ASSERT_EQ(lines_of(undisturbed / "knn.jsonl").size(), 13u) << "steps 0, 5, … 60";
  const auto seed = static_cast<std::uint64_t>(Clock::now().time_since_epoch().count());
  SCOPED_TRACE("instants drawn from " + std::to_string(seed));
  Draws draws(seed, 0, Purpose::kSplit);
  int kills = 0;
  for (int run = 0; kills < kills_wanted(); ++run) {
    const auto dir = folder_.path() / ("run-" + std::to_string(run));
    for (bool is_finished = false; !is_finished;) {
      Attempt attempt("pretrain", spec_, dir, GetParam());
      if (kills < kills_wanted()) {
        ::poll(nullptr, 0,
               static_cast<int>(draws.uniform(.1, 1) * life * 1'000));  // an instant, not an event
        attempt.signal_all(SIGKILL);
        ++kills;
      }
      is_finished = attempt.wait() == all_done_;
    }
    ASSERT_TRUE(outcome(dir) == wanted) << "run " << run << " after " << kills << " kills in all";
    fs::remove_all(dir);
  }
}

INSTANTIATE_TEST_SUITE_P(Ranks, HardshipTest, testing::Values(1, 2));

// A small file system of its own; root alone may mount one.
class SmallDiskTest : public RunsTest {
 protected:
  void SetUp() override {
    write_spec(12);
    fs::create_directories(disk_);
    is_mounted_ = ::mount("tmpfs", disk_.c_str(), "tmpfs", 0, "size=1m") == 0;
    if (!is_mounted_) GTEST_SKIP() << "mounting a small file system needs root";
    ASSERT_EQ(Attempt("pretrain", spec_, undisturbed_, 1).wait(), std::vector<int>{0});
  }
  void TearDown() override {
    if (is_mounted_) ::umount2(disk_.c_str(), MNT_DETACH);
  }
  void remount(unsigned long flags, const char* options) {
    ASSERT_EQ(::mount("tmpfs", disk_.c_str(), "tmpfs", MS_REMOUNT | flags, options), 0);
  }

  const fs::path disk_ = folder_.path() / "disk", undisturbed_ = folder_.path() / "undisturbed";
  bool is_mounted_ = false;
};

TEST_F(SmallDiskTest, AFullDiskIsWaitedForAndRoomLetsTheSameAttemptEndInTheSameBits) {
  Attempt attempt("pretrain", spec_, disk_ / "run", 2);
  EXPECT_TRUE(attempt.wait_for("\"health\":\"the disk takes no checkpoint\"", 1));
  remount(0, "size=64m");
  ASSERT_EQ(attempt.wait(), (std::vector<int>{0, 0}));
  EXPECT_TRUE(outcome(disk_ / "run") == outcome(undisturbed_));
  const std::string attempts = text_of_file(disk_ / "run" / "attempts.jsonl");
  EXPECT_EQ(std::count(attempts.begin(), attempts.end(), '\n'), 1);
  EXPECT_NE(text_of_file(disk_ / "run" / "events.jsonl").find("No space left on device"), std::string::npos);
}

TEST_F(SmallDiskTest, AStopWhileTheFinalCheckpointWaitsForRoomLosesNothingThatWasSaved) {
  {
    Attempt attempt("pretrain", spec_, disk_ / "run", 1);
    EXPECT_TRUE(attempt.wait_for("\"step\":12", 1));
    attempt.signal_all(SIGTERM);
    EXPECT_EQ(attempt.wait(), std::vector<int>{75});
  }
  remount(0, "size=64m");
  ASSERT_EQ(Attempt("pretrain", spec_, disk_ / "run", 1).wait(), std::vector<int>{0});
  EXPECT_TRUE(outcome(disk_ / "run") == outcome(undisturbed_));
}

TEST_F(SmallDiskTest, AFullDiskEndsAnAttemptThatMayNotWaitAndRoomLetsTheNextGoOn) {
  write_spec(12, "sinkhorn_knopp", 2, 600, 0);
  {
    Attempt attempt("pretrain", spec_, disk_ / "run", 1);
    EXPECT_TRUE(attempt.wait_for("No space left on device", 1));
    EXPECT_EQ(attempt.wait(), std::vector<int>{1});
  }
  remount(0, "size=64m");
  ASSERT_EQ(Attempt("pretrain", spec_, disk_ / "run", 1).wait(), std::vector<int>{0});
  EXPECT_TRUE(outcome(disk_ / "run") == outcome(undisturbed_));
}

TEST_F(SmallDiskTest, AReadOnlyFolderEndsTheAttemptWithASentence) {
  remount(MS_RDONLY, "");
  Attempt attempt("pretrain", spec_, disk_ / "run", 1);
  EXPECT_TRUE(attempt.wait_for("Read-only file system", 1));
  EXPECT_EQ(attempt.wait(), std::vector<int>{1});
}

TEST_F(RunsTest, AFlippedByteInAnyFileOfTheNewestCheckpointFallsBackToTheOneBefore) {
  write_spec(12, "softmax");
  const auto undisturbed = folder_.path() / "undisturbed";
  ASSERT_EQ(Attempt("pretrain", spec_, undisturbed, 1).wait(), std::vector<int>{0});
  const auto newest = undisturbed / "checkpoints" / "step-0000000012";
  int files = 0;
  for (const auto& file : fs::directory_iterator(newest)) {
    const auto dir = folder_.path() / ("flipped-" + std::to_string(files++));
    fs::copy(undisturbed, dir, fs::copy_options::recursive);
    const auto path = dir / "checkpoints" / newest.filename() / file.path().filename();
    std::fstream damaged(path, std::ios::in | std::ios::out | std::ios::binary);
    damaged.seekg(static_cast<std::streamoff>(fs::file_size(path) / 2));
    const int byte = damaged.get();
    damaged.seekp(static_cast<std::streamoff>(fs::file_size(path) / 2)).put(static_cast<char>(byte ^ 0x10));
    damaged.close();
    ASSERT_EQ(Attempt("pretrain", spec_, dir, 1).wait(), std::vector<int>{0}) << file.path().filename();
    EXPECT_TRUE(outcome(dir) == outcome(undisturbed)) << file.path().filename();
    std::ifstream attempts(dir / "attempts.jsonl");
    std::string line, last;
    while (std::getline(attempts, line)) last = line;
    EXPECT_EQ(nlohmann::json::parse(last).at("step"), 10) << file.path().filename() << ": not noticed";
  }
  EXPECT_GE(files, 6);  // student, teacher, optimizer, centers, manifest and its hash
}

TEST_F(RunsTest, ARankThatStopsAnsweringIsNoticedByTheOthersWatchdog) {
  write_spec(100'000, "sinkhorn_knopp", 1'000, 8);
  Attempt attempt("pretrain", spec_, folder_.path() / "hung", 2);
  EXPECT_TRUE(attempt.wait_for("progress", 1));
  attempt.signal(1, SIGSTOP);
  EXPECT_TRUE(attempt.wait_for("this rank is ended", 1));
  attempt.signal(1, SIGKILL);
  EXPECT_EQ(attempt.wait(), (std::vector<int>{1, -SIGKILL}));
}

}  // namespace
}  // namespace paddock::jobs
