#include "coordinator/log_store.h"

#include <gtest/gtest.h>
#include <algorithm>

#include <optional>

#include "coordinator/room.h"
#include "tests/temporary_folder.h"

namespace paddock::coordinator {
namespace {

const LogKey kKey{JobKey{GraphId{1}, JobName{"x"}}, 2, 0};

// A disk with room.
const Room& room(const TemporaryFolder& folder) {
  static std::optional<Room> made;
  Log quiet;
  quiet.quiet();
  return made.emplace(folder.path(), 1u << 20, quiet);
}

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(LogStore, TakesPiecesTwiceAndAfterAGap) {
  TemporaryFolder folder;
  LogStore logs(folder.path(), 1'000, room(folder));
  ASSERT_TRUE(logs.write(kKey, 0, bytes_of("hello ")));
  ASSERT_TRUE(logs.write(kKey, 10, bytes_of("!")));
  ASSERT_TRUE(logs.write(kKey, 0, bytes_of("hello ")));
  ASSERT_TRUE(logs.write(kKey, 6, bytes_of("you.")));
  EXPECT_EQ(logs.read(kKey, 0)->bytes, "hello you.!");
  EXPECT_EQ(logs.read(kKey, 10)->bytes, "!");
  EXPECT_EQ(logs.read(kKey, 50)->bytes, "");
  EXPECT_EQ(logs.read(kKey, 50)->file_bytes, 11u);
}

TEST(LogStore, WhatAWorkerHadToDropIsPassedOver) {
  TemporaryFolder folder;
  LogStore logs(folder.path(), 1u << 30, room(folder));
  ASSERT_TRUE(logs.write(kKey, 0, bytes_of("before\n[dropped]\n")));
  EXPECT_EQ(logs.size(kKey), 17u);
  ASSERT_TRUE(logs.write(kKey, 100u << 20, bytes_of("after\n")));
  std::string text;
  std::uint64_t offset = 0;
  for (int reads = 0; reads < 10; ++reads) {
    const auto piece = logs.read(kKey, offset);
    ASSERT_TRUE(piece);
    text += piece->bytes;
    offset = piece->next;
    if (offset >= piece->file_bytes) break;
  }
  EXPECT_EQ(text, "before\n[dropped]\nafter\n");
  EXPECT_EQ(logs.size(kKey), (100u << 20) + 6);
}

TEST(LogStore, DropsWhatIsTooLong) {
  TemporaryFolder folder;
  LogStore logs(folder.path(), 4, room(folder));
  ASSERT_TRUE(logs.write(kKey, 0, bytes_of("hello")));
  ASSERT_TRUE(logs.write(kKey, 5, bytes_of("you")));
  const std::string note =
      "\n[paddock: what follows is not kept: the coordinator keeps 4 bytes of a rank's output "
      "(--log-bytes-max)]\n";
  EXPECT_EQ(logs.read(kKey, 0)->bytes, "hell" + note) << "and says so, once";
  EXPECT_EQ(logs.size(kKey), 4u) << "the worker goes on behind its own bytes";
}

TEST(LogStore, ALogThatIsJustAsLongAsMayBeHasNoNote) {
  TemporaryFolder folder;
  LogStore logs(folder.path(), 5, room(folder));
  ASSERT_TRUE(logs.write(kKey, 0, bytes_of("hello")));
  EXPECT_EQ(logs.read(kKey, 0)->bytes, "hello");
}

TEST(LogStore, TheOutputOfAGraphGoesLittleByLittleAndOthersStays) {
  TemporaryFolder folder;
  LogStore logs(folder.path(), 1'000, room(folder));
  const LogKey other{JobKey{GraphId{2}, JobName{"x"}}, 1, 0};
  ASSERT_TRUE(logs.write(other, 0, bytes_of("stays")));
  for (int job = 0; job < 10; ++job)
    ASSERT_TRUE(
        logs.write({JobKey{GraphId{1}, JobName{"j" + std::to_string(job)}}, 1, 0}, 0, bytes_of("goes")));
  for (std::uint32_t attempt = 1; attempt <= 20;
       ++attempt)  // one job may have many more files than are removed at once
    ASSERT_TRUE(logs.write({JobKey{GraphId{1}, JobName{"often"}}, attempt, 0}, 0, bytes_of("goes")));
  const auto files = [&] {
    const std::filesystem::recursive_directory_iterator all(folder.path() / "1");
    return std::count_if(begin(all), end(all), [](const auto& entry) { return entry.is_regular_file(); });
  };
  for (long left = 30; left > 6; left -= 6) {
    EXPECT_EQ(files(), left);
    EXPECT_FALSE(*logs.remove_some(GraphId{1}, 6));
  }
  while (!*logs.remove_some(GraphId{1}, 6)) EXPECT_EQ(files(), 0);
  EXPECT_FALSE(std::filesystem::exists(folder.path() / "1"));
  EXPECT_EQ(logs.read(other, 0)->bytes, "stays");
  EXPECT_TRUE(*logs.remove_some(GraphId{77}, 1)) << "there never was any";
}

TEST(LogStore, ALogThatWasNeverWrittenIsEmpty) {
  TemporaryFolder folder;
  const auto piece = LogStore(folder.path(), 4, room(folder)).read(kKey, 0);
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->file_bytes, 0u);
}

}  // namespace
}  // namespace paddock::coordinator
