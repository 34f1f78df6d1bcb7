#include "storage/shard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <thread>

#include "tests/storage/faulty_disk.h"
#include "tests/temporary_folder.h"

namespace paddock::storage {
namespace {

using testing::AnyOf;
using testing::HasSubstr;

constexpr ShardOptions kSmall{.bytes_max = 8'000};
constexpr std::uint64_t kSamples = 20;

std::string picture(std::uint64_t i) {
  return "picture " + std::to_string(i) + std::string(100 * i, '#');
}
std::string label(std::uint64_t i) {
  return "{\"label\": " + std::to_string(i) + "}";
}

Result<void> add(ShardWriter& writer, std::uint64_t i) {
  const std::string image = picture(i), json = label(i);
  return writer.add("train/" + std::to_string(i), {{"png", bytes_of(image)}, {"json", bytes_of(json)}});
}

Result<ShardSetInfo> write_set(Disk& disk, const fs::path& dir) {
  TRY_ASSIGN(auto writer, ShardWriter::open(disk, dir, kSmall), "writing");
  for (std::uint64_t i = 0; i < kSamples; ++i) TRY(add(writer, i), "writing");
  return writer.finish();
}

void expect_whole(const ShardSet& set) {
  ASSERT_EQ(set.size(), kSamples);
  for (std::uint64_t i = 0; i < kSamples; ++i) {
    const auto sample = set.read(i);
    ASSERT_TRUE(sample) << sample.error().message;
    EXPECT_EQ(sample->key, "train/" + std::to_string(i));
    EXPECT_EQ(text_of(sample->members.at("png")), picture(i));
    EXPECT_EQ(text_of(sample->members.at("json")), label(i));
  }
}

TEST(Shard, ReadsBackEverySampleFromSeveralShards) {
  FaultyDisk disk;
  const auto info = write_set(disk, "/set");
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->samples, kSamples);
  EXPECT_GT(info->shards, 2u);
  const auto set = ShardSet::open(disk, "/set");
  ASSERT_TRUE(set) << set.error().message;
  EXPECT_EQ(set->hash(), info->hash);
  EXPECT_EQ(set->key(3), "train/3");
  expect_whole(*set);
  EXPECT_TRUE(set->verify());
}

TEST(Shard, SameSamplesHaveTheSameIdentity) {
  FaultyDisk disk;
  EXPECT_EQ(write_set(disk, "/a")->hash, write_set(disk, "/b")->hash);
  EXPECT_EQ(write_set(disk, "/a").error().code, Code::kConflict);
}

TEST(Shard, TarReadsWhatWeWrite) {
  if (std::system("tar --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "needs tar";
  TemporaryFolder folder;
  RealDisk disk;
  ASSERT_TRUE(write_set(disk, folder.path() / "set"));
  const std::string dir = folder.path().string();
  ASSERT_EQ(
      std::system(
          ("cd " + dir + " && for t in set/*.tar; do tar tf $t >>list && tar xf $t || exit 1; done").c_str()),
      0);
  std::ifstream list(dir + "/list");
  std::string name;
  for (std::uint64_t i = 0; i < kSamples; ++i) {
    EXPECT_TRUE(std::getline(list, name) && name == "train/" + std::to_string(i) + ".png") << name;
    EXPECT_TRUE(std::getline(list, name) && name == "train/" + std::to_string(i) + ".json") << name;
    EXPECT_EQ(read_file(disk, folder.path() / "train" / (std::to_string(i) + ".png"))->text(), picture(i));
  }
  expect_whole(*ShardSet::open(disk, folder.path() / "set"));
}

TEST(Shard, AnyNumberOfThreadsMayRead) {
  TemporaryFolder folder;
  RealDisk disk;
  ASSERT_TRUE(write_set(disk, folder.path() / "set"));
  const auto set = ShardSet::open(disk, folder.path() / "set");
  ASSERT_TRUE(set);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { expect_whole(*set); });
  for (std::thread& thread : threads) thread.join();
}

TEST(Shard, RulesOfNamesAreHeld) {
  FaultyDisk disk;
  auto writer = ShardWriter::open(disk, "/set");
  ASSERT_TRUE(writer);
  const auto code = [&](const std::string& key, const std::vector<ShardMember>& members) {
    const auto added = writer->add(key, members);
    return added ? std::string("added") : std::string(name_of(added.error().code));
  };
  EXPECT_EQ(code("a", {{"png", bytes_of("x")}}), "added");
  EXPECT_EQ(code("a", {{"png", bytes_of("x")}}), "invalid");
  EXPECT_EQ(code("a.b", {{"png", {}}}), "invalid");
  EXPECT_EQ(code("../b", {{"png", {}}}), "invalid");
  EXPECT_EQ(code("/b", {{"png", {}}}), "invalid");
  EXPECT_EQ(code("", {{"png", {}}}), "invalid");
  EXPECT_EQ(code("b", {}), "invalid");
  EXPECT_EQ(code("b", {{"p.g", {}}}), "invalid");
  EXPECT_EQ(code("b", {{"png", {}}, {"png", {}}}), "invalid");
  EXPECT_EQ(code(std::string(96, 'k'), {{"png", {}}}), "invalid");
  EXPECT_EQ(code(std::string(95, 'k'), {{"png", {}}}), "added");
  EXPECT_EQ(writer->finish()->samples, 2u);
  EXPECT_EQ(writer->finish().error().code, Code::kInvalid);
  EXPECT_EQ(ShardSet::open(disk, "/set")->size(), 2u);
}

TEST(Shard, EveryFlippedBitOfTheIndexIsDetected) {
  FaultyDisk disk;
  ASSERT_TRUE(write_set(disk, "/set"));
  for (const std::string name : {"index.json", "index.xxh128", "shard-000000.jsonl"}) {
    const std::uint64_t bits = 8 * read_file(disk, fs::path("/set") / name)->size();
    for (std::uint64_t bit = 0; bit < bits; bit += 7) {
      disk.flip_bit(fs::path("/set") / name, bit);
      ASSERT_EQ(ShardSet::open(disk, "/set").error().code, Code::kCorrupt) << name << bit;
      disk.flip_bit(fs::path("/set") / name, bit);
    }
  }
  disk.truncate("/set/shard-000001.tar", 512);
  EXPECT_THAT(ShardSet::open(disk, "/set").error().message, HasSubstr("shard-000001.tar: it has 512 bytes"));
  ASSERT_TRUE(disk.remove_all("/set/shard-000001.tar"));
  EXPECT_THAT(ShardSet::open(disk, "/set").error().message,
              HasSubstr("shard-000001.tar: the file is missing"));
}

TEST(Shard, FlippedBitOfAMemberIsNamedAndOfTheTarFound) {
  FaultyDisk disk;
  ASSERT_TRUE(write_set(disk, "/set"));
  const auto set = ShardSet::open(disk, "/set");
  ASSERT_TRUE(set);
  disk.flip_bit("/set/shard-000000.tar", 8 * 512);  // the first byte after the first header
  EXPECT_EQ(set->read(0).error().code, Code::kCorrupt);
  EXPECT_THAT(set->read(0).error().message, HasSubstr("member \"train/0.png\""));
  EXPECT_TRUE(set->read(1));
  EXPECT_EQ(set->verify().error().code, Code::kCorrupt);
  disk.flip_bit("/set/shard-000000.tar", 8 * 512);
  disk.flip_bit("/set/shard-000000.tar", 8 * 300);  // of a header: no sample suffers, but tar would
  EXPECT_TRUE(set->read(0));
  EXPECT_EQ(set->verify().error().code, Code::kCorrupt);
}

TEST(Shard, CrashAtAnyOperationLeavesNoSetOrAWholeOne) {
  for (std::uint64_t operation = 0;; ++operation) {
    bool was_enough = false;
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      FaultyDisk disk;
      disk.crash_at(operation);
      const bool was_told = write_set(disk, "/set").has_value();
      was_enough = !disk.has_crashed();
      disk.restart(seed);
      const auto set = ShardSet::open(disk, "/set");
      ASSERT_EQ(set.has_value() || !was_told, true) << operation;
      if (set) {
        expect_whole(*set);
        ASSERT_TRUE(set->verify());
      } else {
        ASSERT_EQ(set.error().code, Code::kNotFound) << operation << set.error().message;
        ASSERT_TRUE(write_set(disk, "/set"));  // a new writer starts over what the killed one left
        expect_whole(*ShardSet::open(disk, "/set"));
      }
    }
    if (was_enough) break;
  }
}

}  // namespace
}  // namespace paddock::storage
