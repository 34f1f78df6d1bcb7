// Tars of others: read member by member, indexed, and as a set of samples.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "storage/hash.h"
#include "storage/tar_index.h"
#include "storage/tar_pictures.h"
#include "storage/tar_reader.h"
#include "storage/tar_set.h"
#include "tests/storage/faulty_disk.h"
#include "tests/storage/tar_archive.h"
#include "tests/temporary_folder.h"

namespace paddock::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

void write(Disk& disk, const fs::path& path, const std::string& text) {
  const auto written = write_atomically(disk, path, text);
  ASSERT_TRUE(written) << written.error().message;
}

Result<TarContents> contents_of(const std::string& tar) {
  FaultyDisk disk;
  write(disk, "/a.tar", tar);
  return read_tar(**disk.open("/a.tar"));
}

std::vector<std::string> names_of(const TarContents& contents) {
  std::vector<std::string> names;
  for (const TarMember& member : contents.members) names.push_back(member.name);
  return names;
}

std::string error_of(const std::string& tar) {
  const auto contents = contents_of(tar);
  return contents ? "none" : std::string(name_of(contents.error().code)) + " " + contents.error().message;
}

TEST(TarReader, FindsEveryMembersBytesAndHash) {
  const std::string first(1000, 'a'), second(512, 'b');
  const std::string tar =
      tar_file("one.jpg", first) + tar_file("two.jpg", second) + tar_file("none.txt", "") + tar_end();
  const auto contents = contents_of(tar);
  ASSERT_TRUE(contents) << contents.error().message;
  ASSERT_THAT(names_of(*contents), ElementsAre("one.jpg", "two.jpg", "none.txt"));
  EXPECT_EQ(contents->members[0].offset, 512u);
  EXPECT_EQ(contents->members[0].hash, xxh3_hex(first));
  EXPECT_EQ(tar.substr(contents->members[1].offset, contents->members[1].bytes), second);
  EXPECT_EQ(contents->members[1].hash, xxh3_hex(second));
  EXPECT_EQ(contents->members[2].hash, xxh3_hex(""));
  EXPECT_EQ(contents->others, 0u);
}

TEST(TarReader, MembersLargerThanItsWindowAreHashedWhole) {
  std::string large(9'000'001, 'x');
  for (std::size_t i = 0; i < large.size(); i += 977) large[i] = static_cast<char>(i);
  const auto contents = contents_of(tar_file("large.png", large) + tar_file("after.png", "p") + tar_end());
  ASSERT_TRUE(contents) << contents.error().message;
  EXPECT_EQ(contents->members.at(0).hash, xxh3_hex(large));
  EXPECT_EQ(contents->members.at(1).hash, xxh3_hex("p"));
}

TEST(TarReader, KnowsEveryWayToWriteALongName) {
  const std::string longest(300, 'n');
  const std::string tar =
      gnu_long_name("gnu/" + longest + ".jpg") + tar_file("gnu/nnn", "1") +
      pax_header(pax_record("mtime", "1.5") + pax_record("path", "pax/" + longest + ".jpg")) +
      tar_file("pax/nnn", "2") + tar_block({.name = "name.jpg", .bytes = 1, .prefix = "pre/fix"}) +
      padded("3") +
      // Where ustar has its prefix, GNU has something else.
      tar_block({.name = "plain.jpg", .bytes = 1, .prefix = "12345", .magic = "ustar  "}) + padded("4") +
      tar_file("./last.jpg", "5") + tar_end();
  const auto contents = contents_of(tar);
  ASSERT_TRUE(contents) << contents.error().message;
  EXPECT_THAT(names_of(*contents), ElementsAre("gnu/" + longest + ".jpg", "pax/" + longest + ".jpg",
                                               "pre/fix/name.jpg", "plain.jpg", "last.jpg"));
  for (std::size_t i = 0; i < 5; ++i) EXPECT_EQ(contents->members[i].hash, xxh3_hex(std::to_string(i + 1)));
}

TEST(TarReader, KnowsEveryWayToWriteASize) {
  std::string binary(12, '\0');
  binary[0] = '\x80', binary[11] = 3;
  const auto body = [](const TarBlock& block) { return tar_block(block) + padded("abc"); };
  const std::string tar =
      body({.name = "a", .size_field = binary}) + body({.name = "b", .size_field = "          3 "}) +
      pax_header(pax_record("size", "3")) + body({.name = "c", .bytes = 0}) +
      body({.name = "d", .type = '\0', .bytes = 3, .magic = std::string(8, '\0')}) + tar_end();
  const auto contents = contents_of(tar);
  ASSERT_TRUE(contents) << contents.error().message;
  ASSERT_THAT(names_of(*contents), ElementsAre("a", "b", "c", "d"));
  for (const TarMember& member : contents->members) EXPECT_EQ(member.hash, xxh3_hex("abc"));
  binary[0] = '\xff';  // negative
  EXPECT_THAT(error_of(body({.name = "a", .size_field = binary})), HasSubstr("corrupt"));
}

TEST(TarReader, FoldersAreNothingAndLinksAreNamedOrFollowed) {
  const std::string tar = tar_block({.name = "d/", .type = '5'}) + tar_file("d/a.jpg", "picture") +
                          tar_block({.name = "d/b.jpg", .type = '1', .bytes = 7, .link = "./d/a.jpg"}) +
                          tar_block({.name = "d/c.jpg", .type = '2', .link = "a.jpg"}) +
                          tar_block({.name = "d/d.jpg", .type = '1', .link = "nowhere"}) +
                          tar_file("e.jpg", "e") + tar_end();
  const auto contents = contents_of(tar);
  ASSERT_TRUE(contents) << contents.error().message;
  EXPECT_THAT(names_of(*contents), ElementsAre("d/a.jpg", "d/b.jpg", "e.jpg"));
  EXPECT_EQ(contents->members[1].offset, contents->members[0].offset);
  EXPECT_EQ(contents->members[1].hash, xxh3_hex("picture"));
  EXPECT_EQ(contents->others, 2u);
  EXPECT_EQ(contents->first_other, "d/c.jpg");
}

TEST(TarReader, ArchivesAfterOneAnotherAreOne) {
  const auto contents =
      contents_of(tar_file("a.jpg", "1") + tar_end() + tar_file("b.jpg", "2") + std::string(9'000, '\0'));
  ASSERT_TRUE(contents) << contents.error().message;
  EXPECT_THAT(names_of(*contents), ElementsAre("a.jpg", "b.jpg"));
}

TEST(TarReader, ATarThatIsCutOffHasItsLastMemberWithoutAHash) {
  const std::string whole =
      tar_file("a.jpg", std::string(600, 'a')) + tar_file("b.jpg", std::string(600, 'b'));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto contents = contents_of(whole.substr(0, size));
    ASSERT_TRUE(contents) << size << contents.error().message;
    const bool has_a = size >= 512, has_b = size >= 512 + 1024 + 512;
    ASSERT_EQ(contents->members.size(), std::size_t{has_a} + std::size_t{has_b}) << size;
    if (has_a) {
      ASSERT_EQ(contents->members[0].hash.empty(), size < 512 + 600) << size;
    }
    if (has_b) {
      ASSERT_EQ(contents->members[1].hash.empty(), size < 2048 + 600) << size;
    }
    // In the middle of a header: named, not silent.
    const bool is_in_header = (size > 0 && size < 512) || (size > 512 + 1024 && size < 2048);
    ASSERT_EQ(contents->others, is_in_header ? 1u : 0u) << size;
  }
}

TEST(TarReader, WhatIsNoTarIsRefusedWithTheByte) {
  EXPECT_THAT(error_of(std::string(2000, 'x')), HasSubstr("at byte 0 there is no tar header"));
  EXPECT_THAT(error_of(std::string("\x1f\x8b") + std::string(2000, 'x')), HasSubstr("compressed with gzip"));
  EXPECT_THAT(error_of(std::string("\x28\xb5\x2f\xfd") + std::string(2000, 'x')),
              HasSubstr("compressed with zstd"));
  std::string damaged = tar_file("a.jpg", "1") + tar_file("b.jpg", "2") + tar_end();
  damaged[1024 + 3] ^= 1;  // the second header
  EXPECT_THAT(error_of(damaged), HasSubstr("at byte 1024 there is no tar header"));
  EXPECT_THAT(error_of(tar_block({.name = "s", .type = 'S'}) + tar_end()), HasSubstr("sparse"));
  EXPECT_THAT(error_of(pax_header(pax_record("GNU.sparse.major", "1")) + tar_file("s", "1")),
              HasSubstr("sparse"));
  EXPECT_THAT(error_of(pax_header("99 path=a\n") + tar_file("s", "1")), HasSubstr("damaged pax header"));
  EXPECT_THAT(error_of(tar_block({.name = "l", .type = 'L', .bytes = 1u << 21}) + std::string(1u << 22, 'n')),
              HasSubstr("more than 1 MiB"));
}

TEST(TarReader, ReadsWhatTarWrites) {
  if (std::system("tar --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "needs tar";
  TemporaryFolder folder;
  RealDisk disk;
  const std::string dir = folder.path().string(),
                    deep = std::string(90, 'd') + "/" + std::string(95, 'e') + ".jpg";
  fs::create_directories(folder.path() / "in" / std::string(90, 'd'));
  std::ofstream(folder.path() / "in" / deep) << "deep";
  std::ofstream(folder.path() / "in" / "a.jpg") << std::string(5'000, 'a');
  for (const std::string format : {"gnu", "pax", "ustar", "posix"}) {
    const std::string command =
        "cd " + dir + "/in && tar --format=" + format + " -cf ../" + format + ".tar .";
    ASSERT_EQ(std::system(command.c_str()), 0);
    const auto file = disk.open(folder.path() / (format + ".tar"));
    const auto contents = read_tar(**file);
    ASSERT_TRUE(contents) << format << contents.error().message;
    EXPECT_EQ(contents->others, 0u);
    std::map<std::string, std::string> hashes;
    for (const TarMember& member : contents->members) hashes[member.name] = member.hash;
    EXPECT_EQ(hashes, (std::map<std::string, std::string>{{"a.jpg", xxh3_hex(std::string(5'000, 'a'))},
                                                          {deep, xxh3_hex("deep")}}))
        << format;
  }
}

std::vector<std::string> pictures_among(const std::vector<std::string>& names,
                                        std::uint64_t* passed_over = nullptr) {
  TarContents contents;
  for (const std::string& name : names) contents.members.push_back({.name = name, .hash = "h"});
  const TarPictures found = pictures_of(contents);
  if (passed_over != nullptr) *passed_over = found.passed_over;
  std::vector<std::string> pictures;
  for (const std::size_t i : found.members) pictures.push_back(names[i] + "#" + std::to_string(i));
  return pictures;
}

TEST(TarPictures, ASampleIsTheMembersOfAKeyAndItsPictureTheOneOfThatExtension) {
  std::uint64_t passed_over = 0;
  EXPECT_THAT(
      pictures_among({"a.json", "a.jpg", "a.cls", "b.JPEG", "d/a.jpg", "c.seg.png", "c.png"}, &passed_over),
      ElementsAre("a.jpg#1", "b.JPEG#3", "d/a.jpg#4", "c.png#6"));
  EXPECT_EQ(passed_over, 0u);  // all others belong to a sample
}

TEST(TarPictures, WhatBelongsToNoPictureIsCounted) {
  std::uint64_t passed_over = 0;
  EXPECT_THAT(pictures_among({"README", "notes.txt", "d/.hidden.jpg", "._a.jpg", "a.jpg"}, &passed_over),
              ElementsAre("a.jpg#4"));
  EXPECT_EQ(passed_over, 4u);
  EXPECT_THAT(pictures_among({"a.jpg", "a.png"}, &passed_over), ElementsAre("a.png#1"));
  EXPECT_EQ(passed_over, 1u);
  EXPECT_THAT(pictures_among({"a.jpg", "b.jpg", "a.jpg"}, &passed_over), ElementsAre("b.jpg#1", "a.jpg#2"));
  EXPECT_EQ(passed_over, 1u);
}

TEST(TarPictures, DotsInPlainNamesDoNoHarm) {
  EXPECT_THAT(pictures_among({"at 10.32.11.png", "at 10.32.12.png", "v1.2.jpeg", "v1.2.txt"}),
              ElementsAre("at 10.32.11.png#0", "at 10.32.12.png#1", "v1.2.jpeg#2"));
}

TEST(TarIndex, SaysTheSameAfterItsFile) {
  TarIndex index{.bytes = 9'999, .modified_ns = -5, .contents = {}};
  index.contents = {.members = {{"a b/ö.jpg", 512, 7, xxh3_hex("a")}, {"cut.jpg", 9'500, 700, ""}},
                    .others = 3,
                    .first_other = "with\na line break"};
  const std::string text = print_tar_index(index);
  const auto again = parse_tar_index(text);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->bytes, 9'999u);
  EXPECT_EQ(again->modified_ns, -5);
  EXPECT_THAT(names_of(again->contents), ElementsAre("a b/ö.jpg", "cut.jpg"));
  EXPECT_EQ(again->contents.members[1].bytes, 700u);
  EXPECT_THAT(again->contents.members[1].hash, IsEmpty());
  EXPECT_EQ(print_tar_index(*again), text);
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] ^= 1;
    ASSERT_FALSE(parse_tar_index(damaged)) << i;
    ASSERT_FALSE(parse_tar_index(text.substr(0, i))) << i;
  }
}

// Two tars, six pictures, a cut-off one last.
class TarSetTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(make_dirs(disk_, "/tars"));
    ASSERT_TRUE(make_dirs(disk_, "/run"));
    write(disk_, "/tars/b.tar",
          tar_file("4.jpg", "four") + tar_file("5.jpg", std::string(2'000, '5')).substr(0, 700));
    write(disk_, "/tars/a.tar",
          tar_file("1.jpg", "one") + tar_file("1.cls", "9") + tar_file("2.png", "two") +
              tar_file("3.jpg", "no picture at all") + tar_file("note.txt", "!") + tar_end());
  }
  Result<TarSet> open(const TarSetOptions& options = {.spare_dir = "/run/tars"}) {
    return TarSet::open(disk_, "/tars", {"a.tar", "b.tar"}, options);
  }
  static std::string text(const TarSet& set, std::uint64_t i) {
    const auto bytes = set.read_picture(i);
    return bytes ? std::string(bytes->text()) : std::string(name_of(bytes.error().code));
  }
  FaultyDisk disk_;
};

TEST_F(TarSetTest, GivesThePicturesOfAllTarsInOrder) {
  const auto set = open();
  ASSERT_TRUE(set) << set.error().message;
  ASSERT_EQ(set->size(), 5u);
  EXPECT_EQ(set->key(1), "a.tar/2.png");
  EXPECT_EQ(text(*set, 0), "one");
  EXPECT_EQ(text(*set, 1), "two");
  EXPECT_EQ(text(*set, 2), "no picture at all");  // the decoder's to refuse
  EXPECT_EQ(text(*set, 3), "four");
  EXPECT_EQ(text(*set, 4), "corrupt");
  EXPECT_THAT(set->read_picture(4).error().message, HasSubstr("the tar ends before"));
  EXPECT_EQ(set->passed_over(), 1u);
  EXPECT_EQ(set->first_passed_over(), "a.tar/note.txt");
}

TEST_F(TarSetTest, TheIndexIsMadeOnceBesideTheTar) {
  const auto first = open();
  ASSERT_TRUE(first);
  ASSERT_TRUE(*disk_.exists("/tars/a.tar.paddock-index"));
  ASSERT_FALSE(*disk_.exists("/run/tars"));
  const std::uint64_t changes = disk_.operations();
  disk_.flip_bit("/tars/a.tar", 8 * 300);  // a header: who read the tar again would stumble
  const auto again = open();
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->hash(), first->hash());
  EXPECT_EQ(disk_.operations(), changes);
}

TEST_F(TarSetTest, AReadOnlyFolderHasItsIndexInTheRun) {
  disk_.make_read_only("/tars");
  const auto first = open();
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(*disk_.list("/run/tars"),
            (std::vector<std::string>{"a.tar.paddock-index", "b.tar.paddock-index"}));
  EXPECT_EQ(*disk_.list("/tars"), (std::vector<std::string>{"a.tar", "b.tar"}));
  const std::uint64_t changes = disk_.operations();
  EXPECT_EQ(open()->hash(), first->hash());
  EXPECT_EQ(disk_.operations(), changes);
  EXPECT_EQ(TarSet::open(disk_, "/tars", {"a.tar"}, {}).error().code, Code::kDenied);  // nowhere to keep it
}

TEST_F(TarSetTest, ADamagedIndexIsMadeAnew) {
  const auto first = open();
  ASSERT_TRUE(first);
  disk_.flip_bit("/tars/a.tar.paddock-index", 8 * 120);
  const auto again = open();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->hash(), first->hash());
  EXPECT_TRUE(parse_tar_index(read_file(disk_, "/tars/a.tar.paddock-index")->text()));
}

TEST_F(TarSetTest, AChangedTarIsReadAnew) {
  const auto first = open();
  ASSERT_TRUE(first);
  const std::string before(read_file(disk_, "/tars/a.tar")->text());
  write(disk_, "/tars/a.tar", tar_file("1.jpg", "eno") + tar_end());
  EXPECT_EQ(text(*first, 1), "conflict");  // was opened for the tar that is gone
  EXPECT_THAT(first->read_picture(1).error().message, HasSubstr("/tars/a.tar was changed"));
  const auto changed = open();
  ASSERT_TRUE(changed);
  EXPECT_EQ(text(*changed, 0), "eno");
  EXPECT_NE(changed->hash(), first->hash());
  // The same bytes at another time are the same set, read anew.
  write(disk_, "/tars/a.tar", before);
  EXPECT_EQ(open()->hash(), first->hash());
}

TEST_F(TarSetTest, AByteChangedBehindSizeAndTimeIsFoundWhenItIsRead) {
  const auto set = open();
  ASSERT_TRUE(set);
  disk_.flip_bit("/tars/a.tar", 8 * 512);
  EXPECT_EQ(text(*set, 0), "corrupt");
  EXPECT_THAT(set->read_picture(0).error().message, HasSubstr("others than when its tar was indexed"));
  EXPECT_EQ(text(*set, 1), "two");
}

TEST_F(TarSetTest, TheIdentityIsOfTheMembersNotOfThePacking) {
  const auto first = open();
  ASSERT_TRUE(first);
  ASSERT_TRUE(make_dirs(disk_, "/other"));
  write(disk_, "/other/x.tar", std::string(read_file(disk_, "/tars/b.tar")->text()));
  write(disk_, "/other/w.tar",
        tar_block({.name = "d/", .type = '5'}) + gnu_long_name("1.jpg") + tar_file("?", "one") +
            tar_file("1.cls", "9") + tar_file("2.png", "two") + tar_file("3.jpg", "no picture at all") +
            tar_file("note.txt", "!"));
  const auto moved = TarSet::open(disk_, "/other", {"w.tar", "x.tar"});
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->hash(), first->hash());
  EXPECT_NE(TarSet::open(disk_, "/other", {"x.tar", "w.tar"})->hash(), first->hash());
}

TEST_F(TarSetTest, TwoWhoOpenItTogetherBeginWithDifferentTars) {
  const auto second = open({.spare_dir = "/run/tars", .part = 1, .parts = 2});
  ASSERT_TRUE(second);
  EXPECT_EQ(text(*second, 0), "one");
  EXPECT_EQ(second->hash(), open()->hash());
  // The second's own tar was ready before the first one's.
  EXPECT_LT(disk_.look("/tars/b.tar.paddock-index")->modified_ns,
            disk_.look("/tars/a.tar.paddock-index")->modified_ns);
}

TEST_F(TarSetTest, AnIndexIsWholeOrNotThereWheneverTheMachineStops) {
  const std::string hash = open()->hash();
  for (std::uint64_t operation = 0;; ++operation) {
    for (const char* tar : {"a.tar", "b.tar"})
      ASSERT_TRUE(disk_.remove_all(fs::path("/tars") / (tar + std::string(kTarIndexSuffix))));
    ASSERT_TRUE(disk_.sync_dir("/tars"));
    disk_.crash_at(operation);
    const bool was_opened = open().has_value();
    const bool was_enough = !disk_.has_crashed();
    disk_.restart(operation);
    ASSERT_EQ(was_opened, was_enough);
    const auto again = open();
    ASSERT_TRUE(again) << again.error().message;
    ASSERT_EQ(again->hash(), hash);
    if (was_enough) break;
  }
}

TEST_F(TarSetTest, ADiskThatFailsIsNoBadPicture) {
  const auto set = open();
  ASSERT_TRUE(set);
  EXPECT_EQ(text(*set, 0), "one");
  disk_.fail_reads(1, Code::kUnavailable);
  EXPECT_EQ(text(*set, 0), "unavailable");
  EXPECT_EQ(text(*set, 0), "one");  // opened anew
}

}  // namespace
}  // namespace paddock::storage
