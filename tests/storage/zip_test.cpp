#include "storage/zip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/storage/zip_archive.h"

namespace paddock::storage {
namespace {

using testing::HasSubstr;

const std::vector<ArchiveEntry> kEntries = {
    {"m/data.pkl", "the pickle"}, {"m/data/0", std::string(100, 'x')}, {"m/e", ""}};

std::string refusal(const std::string& archive, Code code) {
  const auto parsed = parse_zip(bytes_of(archive));
  if (parsed) return "accepted";
  EXPECT_EQ(parsed.error().code, code) << parsed.error().message;
  return parsed.error().message;
}

TEST(Zip, Crc32IsThatOfTheStandard) {
  EXPECT_EQ(crc32(bytes_of("123456789")), 0xCBF43926u);
  EXPECT_EQ(crc32({}), 0u);
  EXPECT_EQ(crc32(bytes_of("The quick brown fox jumps over the lazy dog")), 0x414FA339u);
}

TEST(Zip, NarrowAndWideArchivesGiveTheirEntries) {
  for (const bool is_wide : {false, true})
    for (const char* comment : {"", "a comment"}) {
      const std::string archive = zip_archive(kEntries, {.is_wide = is_wide, .comment = comment});
      const auto entries = parse_zip(bytes_of(archive));
      ASSERT_TRUE(entries) << entries.error().message;
      ASSERT_EQ(entries->size(), kEntries.size());
      for (const ArchiveEntry& entry : kEntries) EXPECT_EQ(text_of(entries->at(entry.name)), entry.bytes);
    }
}

TEST(Zip, EachDefectHasItsOwnSentence) {
  EXPECT_THAT(refusal("PK\3\4 and nothing else", Code::kCorrupt), HasSubstr("no end record"));
  EXPECT_THAT(refusal(zip_archive(kEntries, {.method = 8}), Code::kInvalid),
              HasSubstr("\"m/data.pkl\" is compressed"));
  EXPECT_TRUE(parse_zip(bytes_of(zip_archive(kEntries, {.method = 8})),
                        [](std::string_view) { return false; }));  // nobody asked for them
  EXPECT_THAT(refusal(zip_archive(kEntries, {.flags = 1}), Code::kInvalid), HasSubstr("is encrypted"));
  EXPECT_THAT(refusal(zip_archive(kEntries, {.crc_error = 1}), Code::kCorrupt),
              HasSubstr("its CRC-32 differs"));
  EXPECT_THAT(refusal(zip_archive(kEntries, {.size_error = 1u << 20}), Code::kCorrupt),
              HasSubstr("goes beyond the file"));
  EXPECT_THAT(refusal(zip_archive(kEntries, {.name_in_header = "m/other"}), Code::kCorrupt),
              HasSubstr("has another name"));
  EXPECT_THAT(refusal(zip_archive({{"a", "1"}, {"a", "2"}}), Code::kCorrupt),
              HasSubstr("\"a\" is there twice"));
  std::string parts = zip_archive(kEntries);
  parts[parts.size() - 18] = 1;
  EXPECT_THAT(refusal(parts, Code::kInvalid), HasSubstr("split over several files"));
  std::string directory = zip_archive(kEntries);
  directory[directory.size() - 12] = 100;  // more entries than there are
  EXPECT_THAT(refusal(directory, Code::kCorrupt), HasSubstr("directory has no entry"));
  std::string wide = zip_archive(kEntries, {.is_wide = true});
  wide[wide.size() - 22 - 12] ^= 1;
  EXPECT_THAT(refusal(wide, Code::kCorrupt), HasSubstr("zip64 end record is not at byte"));
}

// Entries that share bytes would let a small file cost as much as a large one.
TEST(Zip, EntriesThatOverlapAreRefused) {
  const std::string bytes(1000, 'x');
  const std::string inner = zip_archive({{"b", bytes}});
  std::string archive = zip_archive({{"a", inner}, {"b", ""}});
  const std::size_t second = archive.rfind("PK\1\2");
  archive.replace(second + 16, 12,
                  little_endian(crc32(bytes_of(bytes)), 4) + little_endian(1000, 4) + little_endian(1000, 4));
  archive.replace(second + 42, 4, little_endian(31, 4));  // the header of b inside a
  EXPECT_THAT(refusal(archive, Code::kCorrupt), HasSubstr("\"b\" overlaps another"));
}

}  // namespace
}  // namespace paddock::storage
