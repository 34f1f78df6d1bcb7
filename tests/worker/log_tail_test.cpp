// The spool of a rank's output: bounded, resumed where the coordinator is, honest about what it lost.
#include "worker/log_tail.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <map>

#include "base/limits.h"
#include "tests/temporary_folder.h"

namespace paddock::worker {
namespace {

namespace fs = std::filesystem;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::uint64_t kSpool = 1u << 20;

// A rank's file, its tail, and what the coordinator has of it.
class Spool : public ::testing::Test {
 protected:
  Spool() { tail.emplace(folder / "rank-0.log"); }

  // Lines of 64 bytes, numbered over all calls.
  void writes(int lines) {
    std::ofstream out(folder / "rank-0.log", std::ios::app);
    for (int i = 0; i < lines; ++i) {
      std::string line = std::to_string(lines_++);
      line.resize(63, '.');
      out << line << '\n';
    }
  }
  void sends(int pieces = 1'000) {
    for (; pieces > 0; --pieces) {
      const auto piece = tail->next();
      if (!piece) return;
      pieces_[piece->offset] = piece->bytes;
      tail->passed(*piece);
    }
  }
  // How far the coordinator has come: the end of the last piece.
  std::uint64_t taken() const {
    return pieces_.empty() ? 0 : pieces_.rbegin()->first + pieces_.rbegin()->second.size();
  }
  std::string log() const {
    std::string all;
    for (const auto& [offset, bytes] : pieces_) all += bytes;
    return all;
  }
  std::uint64_t disk_bytes() const {
    struct stat status {};
    stat((folder / "rank-0.log").c_str(), &status);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  static std::string line(int number) {
    std::string text = std::to_string(number);
    text.resize(63, '.');
    return text + "\n";
  }

  const TemporaryFolder own;
  const fs::path folder = own.path();
  std::optional<LogTail> tail;

 private:
  int lines_ = 0;
  std::map<std::uint64_t, std::string> pieces_;
};

TEST_F(Spool, GoesOnWhereTheCoordinatorIsAfterAReconnect) {
  writes(20'000);
  sends(2);
  const std::uint64_t had = taken();
  sends(2);  // lost with the connection
  tail->go_to(had);
  EXPECT_EQ(tail->bytes_in_flight(), 0u);
  const auto piece = tail->next();
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->offset, had);
}

TEST_F(Spool, CountsWhatIsOnItsWayUntilItIsTaken) {
  writes(20'000);
  sends(3);
  EXPECT_EQ(tail->bytes_in_flight(), 3 * limits::kLogChunkBytesMax);
  tail->taken(2 * limits::kLogChunkBytesMax);
  EXPECT_EQ(tail->bytes_in_flight(), limits::kLogChunkBytesMax);
}

TEST_F(Spool, ARankThatWritesWithoutEndTakesNoMoreDiskThanTheSpool) {
  for (int round = 0; round < 10; ++round) {
    writes(20'000);
    tail->bound(kSpool);
    EXPECT_LE(disk_bytes(), kSpool + (256u << 10));
  }
}

TEST_F(Spool, WhatWasDroppedUnsentLeavesANoteWithItsSize) {
  writes(1'000);
  sends();
  writes(99'000);
  const std::uint64_t lost = tail->bound(kSpool);
  EXPECT_GT(lost, 4u << 20);
  EXPECT_EQ(tail->bytes_dropped(), lost);
  tail->finish();
  sends();
  EXPECT_TRUE(tail->is_over());
  EXPECT_THAT(log(), StartsWith(line(0)));
  EXPECT_THAT(log(), HasSubstr("[paddock: " + std::to_string(lost) + " bytes of output were dropped here"));
  EXPECT_THAT(log(), EndsWith(line(99'999)));
  EXPECT_EQ(log().find('\0'), std::string::npos);
}

TEST_F(Spool, NothingIsLostOfWhatWasSent) {
  for (int round = 0; round < 10; ++round) {
    writes(20'000);
    sends();
    EXPECT_EQ(tail->bound(kSpool), 0u);
  }
  std::string all;
  for (int i = 0; i < 200'000; ++i) all += line(i);
  EXPECT_EQ(log(), all);
}

TEST_F(Spool, ANoteThatWasTakenIsNotSaidTwice) {
  writes(100'000);
  tail->bound(kSpool);
  sends(1);  // the note
  tail->go_to(taken());
  const auto piece = tail->next();
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->bytes.find("[paddock"), std::string::npos);
  EXPECT_GT(piece->offset, taken());
}

TEST_F(Spool, ACoordinatorThatLostTheLogGetsTheNoteAndWhatIsStillThere) {
  writes(1'000);
  sends();
  writes(99'000);
  tail->bound(kSpool);
  sends();
  tail->go_to(0);
  const auto piece = tail->next();
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->offset, 0u);
  EXPECT_THAT(piece->bytes, HasSubstr("[paddock"));
}

TEST_F(Spool, ALogThatNobodyWantsIsOverWhenItsRankIs) {
  writes(100'000);
  tail->give_up();
  EXPECT_FALSE(tail->next());
  EXPECT_FALSE(tail->is_over());
  tail->finish();
  tail->give_up();
  EXPECT_TRUE(tail->is_over());
}

}  // namespace
}  // namespace paddock::worker
