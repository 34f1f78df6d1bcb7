#include "coordinator/log_store.h"

#include <gtest/gtest.h>

#include "tests/coordinator/temporary_folder.h"

namespace paddock::coordinator {
namespace {

const LogKey kKey{JobKey{GraphId{1}, JobName{"x"}}, 2, 0};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(LogStore, TakesPiecesTwiceAndAfterAGap) {
  TemporaryFolder folder;
  LogStore logs(folder.path(), 1'000);
  ASSERT_TRUE(logs.write(kKey, 0, bytes_of("hello ")));
  ASSERT_TRUE(logs.write(kKey, 10, bytes_of("!")));
  ASSERT_TRUE(logs.write(kKey, 0, bytes_of("hello ")));
  ASSERT_TRUE(logs.write(kKey, 6, bytes_of("you.")));
  EXPECT_EQ(logs.read(kKey, 0)->bytes, "hello you.!");
  EXPECT_EQ(logs.read(kKey, 10)->bytes, "!");
  EXPECT_EQ(logs.read(kKey, 50)->bytes, "");
  EXPECT_EQ(logs.read(kKey, 50)->file_bytes, 11u);
}

TEST(LogStore, DropsWhatIsTooLong) {
  TemporaryFolder folder;
  LogStore logs(folder.path(), 4);
  ASSERT_TRUE(logs.write(kKey, 0, bytes_of("hello")));
  ASSERT_TRUE(logs.write(kKey, 5, bytes_of("you")));
  EXPECT_EQ(logs.read(kKey, 0)->bytes, "hell");
}

TEST(LogStore, ALogThatWasNeverWrittenIsEmpty) {
  TemporaryFolder folder;
  const auto piece = LogStore(folder.path(), 4).read(kKey, 0);
  ASSERT_TRUE(piece);
  EXPECT_EQ(piece->file_bytes, 0u);
}

}  // namespace
}  // namespace paddock::coordinator
