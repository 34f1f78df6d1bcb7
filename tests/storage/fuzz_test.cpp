// What comes from a disk is read without trust: any bytes give a value that keeps the format's promises, or
// an error.
#include <gtest/gtest.h>

#include "base/random.h"
#include "storage/hash.h"
#include "storage/manifest.h"
#include "storage/safetensors.h"
#include "storage/shard_index.h"
#include "storage/tar_index.h"
#include "storage/tar_pictures.h"
#include "storage/tar_reader.h"
#include "tests/fuzz.h"
#include "tests/storage/faulty_disk.h"
#include "tests/storage/tar_archive.h"

namespace paddock::storage {
namespace {

constexpr std::uint64_t kRounds = 20'000;

// A few edits of a good text: changed, removed, repeated and inserted pieces.
std::string edit(std::string text, std::uint64_t round) {
  Draws draws(20'240'607, round, Purpose::kSplit);
  constexpr std::string_view kPieces[] = {
      "{", "}", "[", "]", ":", ",", "\"", "-1", "18446744073709551616", "1e999", "null"};
  for (std::uint64_t edits = 1 + draws.below(4); edits > 0 && !text.empty(); --edits) {
    const std::size_t at = draws.below(text.size());
    const std::size_t length = draws.below(std::min<std::uint64_t>(text.size() - at, 24) + 1);
    switch (draws.below(4)) {
      case 0:
        text[at] = static_cast<char>(draws.u32());
        break;
      case 1:
        text.erase(at, length);
        break;
      case 2:
        text.insert(at, text.substr(at, length));
        break;
      default:
        text.insert(at, kPieces[draws.below(std::size(kPieces))]);
    }
  }
  return text;
}

TEST(StorageFuzz, SafetensorsAreWholeOrRefused) {
  const std::vector<TensorBytes> tensors = {{"a", "F32", {1, 2}, bytes_of("12345678")},
                                            {"b", "U8", {3}, bytes_of("123")}};
  const std::string good = *safetensors_header(tensors, {{"k", "v"}}) + "12345678123";
  std::uint64_t accepted = 0;
  for (Rounds rounds(kRounds); rounds.next();) {
    const std::uint64_t round = rounds.number();
    const std::string file = edit(good, round);
    const auto parsed = parse_safetensors(bytes_of(file), "fuzzed");
    if (!parsed) {
      ASSERT_EQ(parsed.error().code, Code::kCorrupt);
      continue;
    }
    ++accepted;
    std::size_t at = parsed->header_bytes;
    for (const TensorBytes& tensor : parsed->tensors) {
      ASSERT_EQ(tensor.bytes.data(), bytes_of(file).data() + at);
      at += tensor.bytes.size();
    }
    ASSERT_EQ(at, file.size());
  }
  EXPECT_GT(accepted, 0u);
}

TEST(StorageFuzz, ManifestsAreReadOrRefused) {
  Manifest manifest{.step = 12, .fence = Fence(3), .state = {{"position", 768}}, .files = {}};
  manifest.files.push_back({"m.safetensors", 99, 80, "h", {{"a", "F32", {2, 2}, 80, 16, "h"}}});
  const std::string good = *print_manifest(manifest);
  ASSERT_EQ(*print_manifest(*parse_manifest(good)), good);
  for (Rounds rounds(kRounds); rounds.next();) {
    const std::uint64_t round = rounds.number();
    const auto parsed = parse_manifest(edit(good, round));
    if (!parsed) {
      ASSERT_TRUE(parsed.error().code == Code::kCorrupt || parsed.error().code == Code::kInvalid);
    }
  }
}

TEST(StorageFuzz, ShardIndexesAreReadOrRefused) {
  const std::string index = print_index({{"shard-000000.tar", 2048, "h", 1, "shard-000000.jsonl", 60, "h"}});
  const std::string sample = print_sample({"a/b", {{"png", 512, 7, "h"}, {"json", 1536, 7, "h"}}});
  ASSERT_EQ(print_index(*parse_index(index)), index);
  ASSERT_EQ(print_sample(*parse_sample(sample)), sample);
  for (Rounds rounds(kRounds); rounds.next();) {
    const std::uint64_t round = rounds.number();
    const auto shards = parse_index(edit(index, round));
    if (!shards) {
      ASSERT_TRUE(shards.error().code == Code::kCorrupt || shards.error().code == Code::kInvalid);
    }
    const auto line = parse_sample(edit(sample, round));
    if (!line) {
      ASSERT_EQ(line.error().code, Code::kCorrupt);
    }
  }
}

// Any bytes give members that lie in the file, or an error. Headers are summed again after the edit, so that
// what they say is looked at.
TEST(StorageFuzz, TarsOfOthersAreReadOrRefused) {
  const std::string good = gnu_long_name("a/long.name.jpg") + tar_file("a", std::string(700, 'a')) +
                           pax_header(pax_record("path", "b.jpg") + pax_record("size", "3")) +
                           tar_file("b", "abc") + tar_block({.name = "c.jpg", .type = '1', .link = "b.jpg"}) +
                           tar_end();
  std::uint64_t accepted = 0;
  for (Rounds rounds(kRounds / 4); rounds.next();) {
    const std::uint64_t round = rounds.number();
    Draws draws(7, round, Purpose::kSplit);
    std::string tar = round % 2 == 0 ? edit(good, round) : good;
    for (int changes = 0; changes < 3; ++changes) {
      const std::size_t block = draws.below(tar.size() / 512) * 512;
      constexpr std::size_t kFields[] = {0, 124, 124, 156, 157, 257, 345};
      tar[block + kFields[draws.below(std::size(kFields))] + draws.below(12)] =
          static_cast<char>(draws.u32());
      std::string header = tar.substr(block, 512);
      header.replace(148, 8, "        ");
      std::uint64_t sum = 0;
      for (const char byte : header) sum += static_cast<unsigned char>(byte);
      tar.replace(block + 148, 8, octal(sum, 7) + " ");
    }
    FaultyDisk disk;
    ASSERT_TRUE(write_atomically(disk, "/a.tar", tar));
    const auto contents = read_tar(**disk.open("/a.tar"));
    if (!contents) {
      ASSERT_TRUE(contents.error().code == Code::kCorrupt || contents.error().code == Code::kInvalid);
      continue;
    }
    ++accepted;
    for (const TarMember& member : contents->members) {
      ASSERT_TRUE(member.hash.empty() ||
                  (member.offset <= tar.size() && member.bytes <= tar.size() - member.offset));
    }
    ASSERT_LE(pictures_of(*contents).members.size(), contents->members.size());
    const TarIndex index{.bytes = tar.size(), .modified_ns = 1, .contents = *contents};
    const auto again = parse_tar_index(print_tar_index(index));
    ASSERT_TRUE(again) << again.error().message;
    ASSERT_EQ(print_tar_index(*again), print_tar_index(index));
  }
  EXPECT_GT(accepted, 100u);
}

TEST(StorageFuzz, TarIndexesAreReadOrRefused) {
  TarIndex index{.bytes = 4096, .modified_ns = 5, .contents = {}};
  index.contents.members.push_back({"a.jpg", 512, 7, xxh3_hex("")});
  for (Rounds rounds(kRounds); rounds.next();) {
    const std::uint64_t round = rounds.number();
    // With the right hash in front, so that the lines are looked at.
    const std::string body = edit(print_tar_index(index).substr(53), round);
    const auto parsed = parse_tar_index("paddock-tar-index 1 " + xxh3_hex(body) + "\n" + body);
    if (!parsed) {
      ASSERT_EQ(parsed.error().code, Code::kCorrupt);
    } else {
      for (const TarMember& member : parsed->contents.members) ASSERT_FALSE(member.name.empty());
    }
  }
}

}  // namespace
}  // namespace paddock::storage
