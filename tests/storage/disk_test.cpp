#include "storage/disk.h"

#include <gtest/gtest.h>

#include "storage/hash.h"
#include "tests/storage/faulty_disk.h"
#include "tests/temporary_folder.h"

namespace paddock::storage {
namespace {

std::string read_text(Disk& disk, const fs::path& path) {
  const auto bytes = read_file(disk, path);
  return bytes ? std::string(bytes->text()) : "error: " + bytes.error().message;
}

TEST(Disk, WritesAtomicallyReadsBackAndListsSorted) {
  TemporaryFolder folder;
  RealDisk disk;
  const fs::path dir = folder.path() / "a" / "b" / "";
  ASSERT_TRUE(make_dirs(disk, dir));
  ASSERT_TRUE(make_dirs(disk, dir));
  ASSERT_TRUE(write_atomically(disk, dir / "two", "second"));
  ASSERT_TRUE(write_atomically(disk, dir / "one", ""));
  ASSERT_TRUE(write_atomically(disk, dir / "two", "again"));
  EXPECT_EQ(*disk.list(dir), (std::vector<std::string>{"one", "two"}));
  EXPECT_EQ(read_text(disk, dir / "two"), "again");
  EXPECT_EQ(read_text(disk, dir / "one"), "");
  EXPECT_TRUE(*disk.exists(dir / "one"));
  ASSERT_TRUE(disk.remove_all(folder.path() / "a"));
  EXPECT_FALSE(*disk.exists(dir / "one"));
}

TEST(Disk, ErrorsSayWhatToDo) {
  TemporaryFolder folder;
  RealDisk disk;
  EXPECT_EQ(read_file(disk, folder.path() / "none").error().code, Code::kNotFound);
  EXPECT_EQ(disk.list(folder.path() / "none").error().code, Code::kNotFound);
  EXPECT_EQ(disk.open(folder.path()).error().code, Code::kConflict);
  ASSERT_TRUE(write_atomically(disk, folder.path() / "file", "four"));
  EXPECT_EQ(make_dirs(disk, folder.path() / "file").error().code, Code::kConflict);
  EXPECT_EQ(read_file(disk, folder.path() / "file", 3).error().code, Code::kExhausted);
  std::byte byte;
  EXPECT_EQ((*disk.open(folder.path() / "file"))->read_at(4, {&byte, 1}).error().code, Code::kCorrupt);
  ASSERT_TRUE(make_dirs(disk, folder.path() / "full" / "inside"));
  ASSERT_TRUE(make_dirs(disk, folder.path() / "empty"));
  EXPECT_EQ(disk.rename(folder.path() / "empty", folder.path() / "full").error().code, Code::kConflict);
}

TEST(Disk, FileIsDeadAfterAWriteFailed) {
  RealDisk disk;
  const auto file = disk.create("/dev/full");
  ASSERT_TRUE(file);
  EXPECT_EQ((*file)->append(bytes_of("x")).error().code, Code::kExhausted);
  EXPECT_EQ((*file)->sync().error().code, Code::kUnavailable);
  EXPECT_EQ((*file)->append(bytes_of("x")).error().code, Code::kUnavailable);
}

TEST(Disk, CrashAtAnyOperationLeavesTheOldOrTheNewFile) {
  for (std::uint64_t operation = 0;; ++operation) {
    bool was_enough = false;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      FaultyDisk disk;
      ASSERT_TRUE(make_dirs(disk, "/dir"));
      ASSERT_TRUE(write_atomically(disk, "/dir/file", "the old text"));
      disk.crash_at(operation);
      const bool is_written = write_atomically(disk, "/dir/file", "a longer new text").has_value();
      was_enough = !disk.has_crashed();
      disk.restart(seed);
      const std::string text = read_text(disk, "/dir/file");
      EXPECT_TRUE(text == "a longer new text" || (!is_written && text == "the old text"))
          << operation << text;
    }
    if (was_enough) break;
  }
}

TEST(Disk, FailureLeavesTheOldFileAndNoTemporary) {
  FaultyDisk disk;
  ASSERT_TRUE(make_dirs(disk, "/dir"));
  ASSERT_TRUE(write_atomically(disk, "/dir/file", "old"));
  for (std::uint64_t operation = 0; operation < 4; ++operation) {
    disk.fail_at(operation, Code::kExhausted);
    EXPECT_EQ(write_atomically(disk, "/dir/file", "new").error().code, Code::kExhausted);
    EXPECT_EQ(read_text(disk, "/dir/file"), "old");
    EXPECT_EQ(disk.list("/dir")->size(), 1u);
  }
}

TEST(Hash, IsXxh3AsPublishedAndTheSameInPieces) {
  EXPECT_EQ(xxh3_hex(""), "99aa06d3014798d86001c324468d497f");  // xxHash 0.8, XXH128 of no bytes
  const std::string text(100'000, 'x');
  Hasher hasher;
  for (std::size_t at = 0; at < text.size(); at += 777) hasher.update(std::string_view(text).substr(at, 777));
  EXPECT_EQ(hasher.hex(), xxh3_hex(text));
  FaultyDisk disk;
  ASSERT_TRUE(write_atomically(disk, "/file", text));
  EXPECT_EQ(*xxh3_hex_of_file(disk, "/file"), xxh3_hex(text));
  EXPECT_TRUE(is_xxh3_hex(hasher.hex()));
  EXPECT_FALSE(is_xxh3_hex("99AA06D3014798D86001C324468D497F"));
}

}  // namespace
}  // namespace paddock::storage
