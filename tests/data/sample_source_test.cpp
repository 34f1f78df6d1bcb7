// Anybody's pictures by every route: a shard set, tars without an index, a folder, a list; and what is held
// out of them.
#include "data/sample_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <stdexcept>

#include "data/encode.h"
#include "data/file_listing.h"
#include "data/loader.h"
#include "data/picture_source.h"
#include "data/subset.h"
#include "storage/tar_set.h"
#include "tests/data/shards.h"
#include "tests/data/small_batches.h"
#include "tests/storage/faulty_disk.h"
#include "tests/storage/tar_archive.h"
#include "tests/temporary_folder.h"

namespace paddock::data {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int kPictures = 10, kTorn = 4;

std::string png(int i) {
  const auto bytes = encode_png(pattern(40 + i % 5, 36 + i % 3, i));
  const std::string text(storage::text_of(bytes));
  return i == kTorn ? text.substr(0, text.size() / 2) : text;
}

std::string path_of(int i) {
  return (i < 6 ? "birds/picture-" : "cats/picture-") + std::to_string(i) + ".png";
}

void write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

class SampleSourceTest : public testing::Test {
 protected:
  fs::path at(const std::string& name) const { return folder_.path() / name; }

  void write_folder(const std::string& name) const {
    for (int i = 0; i < kPictures; ++i) write(at(name) / path_of(i), png(i));
  }
  void write_tars(const std::string& name) const {
    std::string first, second;
    for (int i = 0; i < kPictures; ++i) {
      std::string& tar = i < 6 ? first : second;
      tar += storage::tar_file(path_of(i), png(i)) +
             storage::tar_file(path_of(i).substr(0, path_of(i).size() - 3) + "cls", "0");
    }
    write(at(name) / "00000.tar", first + storage::tar_end());
    write(at(name) / "00001.tar", second + storage::tar_end());
  }
  Source open(const std::string& name) {
    auto source = open_source(disk_, at(name), options());
    EXPECT_TRUE(source) << source.error().message;
    return source ? *std::move(source) : Source{};
  }
  std::string refusal(const std::string& name) {
    const auto source = open_source(disk_, at(name), options());
    return source ? "opened: " + source->about : source.error().message;
  }
  SourceOptions options() const { return {.index_dir = at("run/tar-index"), .threads = 3}; }
  Result<Splits> split(SplitOptions options) {
    options.source = this->options();
    return open_splits(disk_, options);
  }

  TemporaryFolder folder_;
  storage::RealDisk disk_;
};

std::vector<std::string> keys_of(const storage::SampleSet& set) {
  std::vector<std::string> keys;
  for (std::uint64_t i = 0; i < set.size(); ++i) keys.push_back(set.key(i));
  return keys;
}

TEST_F(SampleSourceTest, TheSamePicturesByEveryRouteGiveTheSameBatches) {
  write_pictures(disk_, at("shards"), kPictures, {kTorn});
  write_folder("pictures");
  write_tars("tars");
  std::string lines;
  for (int i = 0; i < kPictures; ++i) lines += "pictures/" + path_of(i) + "\n";
  write(at("list.txt"), lines);
  std::vector<Batch> want;
  for (const std::string route : {"shards", "pictures", "tars", "list.txt"}) {
    const Source source = open(route);
    ASSERT_TRUE(source.set) << route;
    ASSERT_EQ(source.set->size(), std::uint64_t{kPictures}) << route;
    Loader loader(*source.set, small(), 0);
    for (std::size_t step = 0; step < 6; ++step) {  // two epochs
      Batch batch = loader.next();
      if (route == "shards")
        want.push_back(std::move(batch));
      else
        EXPECT_TRUE(equal(batch, want[step])) << route << " step " << step;
    }
    const auto bad = loader.quarantined();
    ASSERT_EQ(bad.size(), 1u) << route;
    EXPECT_EQ(bad[0].index, std::uint64_t{kTorn});
    EXPECT_THAT(bad[0].key, HasSubstr("picture-4"));
    EXPECT_THAT(bad[0].reason, HasSubstr("damaged PNG")) << route;
  }
}

TEST_F(SampleSourceTest, AFolderIsReadByPathWithItsLinks) {
  write(at("pool/b/2.JPG"), "2");
  write(at("pool/b/1.jpeg"), "1");
  write(at("pool/a.png"), "a");
  write(at("pool/b.png"), "b");
  write(at("pool/notes.txt"), "no picture");
  write(at("pool/.cache/x.png"), "hidden");
  write(at("pool/b/._1.jpeg"), "hidden");
  write(at("elsewhere/deep/3.png"), "3");
  fs::create_directory_symlink(at("elsewhere"), at("pool/linked"));
  fs::create_symlink(at("elsewhere/deep/3.png"), at("pool/c.png"));
  fs::create_symlink(at("nowhere"), at("pool/lost.png"));
  fs::create_symlink("loop.png", at("pool/loop.png"));
  fs::create_directory_symlink(at("pool"), at("pool/b/round"));  // back to above itself
  const Source source = open("pool");
  ASSERT_TRUE(source.set);
  EXPECT_THAT(keys_of(*source.set),
              ElementsAre("a.png", "b.png", "b/1.jpeg", "b/2.JPG", "c.png", "linked/deep/3.png"));
  EXPECT_EQ(source.set->read_picture(2)->text(), "1");
  EXPECT_EQ(source.set->read_picture(4)->text(), "3");
  EXPECT_EQ(source.about, "6 pictures; 4 other files were passed over, the first: b/round");
}

TEST_F(SampleSourceTest, ManyFilesOnManyThreadsAreListedTheSameWay) {
  for (int i = 0; i < 300; ++i) write(at("many") / std::to_string(i % 7) / (std::to_string(i) + ".png"), "p");
  const auto one = list_folder(disk_, at("many"), 1), many = list_folder(disk_, at("many"), 8);
  ASSERT_TRUE(one && many);
  ASSERT_EQ(one->pictures.size(), 300u);
  for (std::size_t i = 0; i < 300; ++i) ASSERT_EQ(one->pictures[i].path, many->pictures[i].path);
}

TEST_F(SampleSourceTest, AFoldersIdentityIsOfPathsSizesAndTimes) {
  write_folder("pictures");
  const fs::path file = at("pictures") / path_of(3);
  const auto time = fs::last_write_time(file);
  const std::string hash = open("pictures").set->hash();
  EXPECT_EQ(open("pictures").set->hash(), hash);
  std::string bytes = png(3);
  bytes.back() ^= 1;
  write(file, bytes);  // not looked into: other bytes of that size and time are not seen
  fs::last_write_time(file, time);
  EXPECT_EQ(open("pictures").set->hash(), hash);
  fs::last_write_time(file, time + std::chrono::seconds(1));
  EXPECT_NE(open("pictures").set->hash(), hash);
  write(file, bytes + "!");
  fs::last_write_time(file, time);
  EXPECT_NE(open("pictures").set->hash(), hash);
  write(file, bytes);
  fs::last_write_time(file, time);
  EXPECT_EQ(open("pictures").set->hash(), hash);
  fs::rename(file, at("pictures/birds/other.png"));
  EXPECT_NE(open("pictures").set->hash(), hash);
}

TEST_F(SampleSourceTest, AFileThatChangesOrGoesDuringTheRunStopsIt) {
  write_folder("pictures");
  const Source source = open("pictures");
  write(at("pictures") / path_of(1), png(1) + "!");
  EXPECT_EQ(source.set->read_picture(1).error().code, Code::kConflict);
  EXPECT_THAT(source.set->read_picture(1).error().message,
              HasSubstr("birds/picture-1.png was changed since"));
  fs::remove(at("pictures") / path_of(2));
  EXPECT_THAT(source.set->read_picture(2).error().message,
              HasSubstr("birds/picture-2.png was removed since"));
  Loader loader(*source.set, small(), 0);
  const auto an_epoch = [&] {
    for (int step = 0; step < 3; ++step) loader.next();
  };
  EXPECT_THROW(an_epoch(), std::runtime_error);  // and is not put aside as a bad picture
  for (const Quarantined& bad : loader.quarantined()) EXPECT_EQ(bad.index, std::uint64_t{kTorn});
}

TEST_F(SampleSourceTest, AListNamesFilesFromItsOwnFolderOrFromTheRoot) {
  write(at("lists/a.png"), "a");
  write(at("b.tiff"), "b");
  write(at("lists/list"), "a.png\r\n\n" + at("b.tiff").string() + "\n../b.tiff");
  const Source source = open("lists/list");
  ASSERT_TRUE(source.set);
  ASSERT_EQ(source.set->size(), 3u);
  EXPECT_EQ(source.set->read_picture(0)->text(), "a");
  EXPECT_EQ(source.set->read_picture(1)->text(), "b");  // whatever it is called
  EXPECT_EQ(source.set->read_picture(2)->text(), "b");
}

TEST_F(SampleSourceTest, AListsMissingFilesAreCountedAndTheFirstIsNamed) {
  write(at("a.png"), "a");
  write(at("list.txt"), "a.png\n\ngone.png\na.png\nlost.png\n.\n");
  EXPECT_THAT(refusal("list.txt"), HasSubstr("list.txt:3: cannot look at "));
  EXPECT_THAT(refusal("list.txt"),
              HasSubstr("gone.png: No such file or directory (3 of 5 paths cannot be had)"));
  EXPECT_EQ(open_source(disk_, at("list.txt"), options()).error().code, Code::kInvalid);
}

TEST_F(SampleSourceTest, TarsAreFoundInFoldersAndAlone) {
  write_tars("tars");
  fs::create_directories(at("tars/more"));
  fs::rename(at("tars/00001.tar"), at("tars/more/00001.tar"));
  write(at("tars/readme.txt"), "!");
  const Source source = open("tars");
  ASSERT_TRUE(source.set);
  EXPECT_EQ(source.about, "10 pictures in 2 tar files; 1 other file was passed over, the first: readme.txt");
  EXPECT_EQ(source.set->key(6), "more/00001.tar/cats/picture-6.png");
  EXPECT_TRUE(fs::exists(at("tars/more/00001.tar.paddock-index")));
  EXPECT_EQ(open("tars").about, source.about);  // the indexes are nobody's surprise
  EXPECT_EQ(open("tars/00000.tar").about, "6 pictures in 1 tar file");
}

TEST_F(SampleSourceTest, WhatCannotBeLearntFromIsRefusedInASentence) {
  EXPECT_THAT(refusal("nothing"), HasSubstr("No such file or directory"));
  fs::create_directories(at("empty"));
  EXPECT_THAT(refusal("empty"), HasSubstr("empty holds no pictures (.png, .jpg, .jpeg) and no tar files"));
  write(at("packed/a.tar.gz"), "x");
  EXPECT_THAT(refusal("packed"), HasSubstr("1 other file was passed over, the first: a.tar.gz"));
  EXPECT_THAT(refusal("packed/a.tar.gz"), HasSubstr("packed in a way that is not read"));
  write(at("a.png"), png(0));
  EXPECT_THAT(refusal("a.png"), HasSubstr("is one picture"));
  write(at("binary"), std::string("a\0b", 3));
  EXPECT_THAT(refusal("binary"), HasSubstr("neither a tar file (NAME.tar) nor a text"));
  write(at("blank.txt"), "\n\n");
  EXPECT_THAT(refusal("blank.txt"), HasSubstr("blank.txt holds no pictures"));
  write_tars("both");
  write(at("both/a.png"), png(0));
  EXPECT_THAT(refusal("both"), HasSubstr("holds both pictures (a.png) and tar files (00000.tar)"));
  write(at("notar/a.tar"), std::string(3'000, 'x'));
  EXPECT_THAT(refusal("notar"), HasSubstr("a.tar: at byte 0 there is no tar header"));
  write_pictures(disk_, at("shards"), 2);
  fs::remove(at("shards/index.json"));  // as a killed writer leaves it
  EXPECT_THAT(refusal("shards"), HasSubstr("not a finished shard set"));
}

TEST_F(SampleSourceTest, ADatasetFolderHasItsTwoSplits) {
  write_pictures(disk_, at("curated/train"), 5);
  write_pictures(disk_, at("curated/test"), 3);
  write_folder("plain/train");
  write_tars("plain/test");
  auto splits = split({.data = at("curated").string(), .needs_test = true});
  ASSERT_TRUE(splits) << splits.error().message;
  EXPECT_EQ(splits->train->size(), 5u);
  EXPECT_EQ(splits->test->size(), 3u);
  splits = split({.data = at("plain").string(), .needs_test = true});
  ASSERT_TRUE(splits) << splits.error().message;
  EXPECT_THAT(splits->about, ElementsAre("train: 10 pictures", "test: 10 pictures in 2 tar files"));
  splits = split({.data = at("plain").string()});
  ASSERT_TRUE(splits);
  EXPECT_EQ(splits->test, nullptr);  // and is not opened
  EXPECT_EQ(splits->train->size(), 10u);
}

TEST_F(SampleSourceTest, WithoutATestSplitOneIsAskedFor) {
  write_folder("pictures");
  const auto refused = split({.data = at("pictures").string(), .needs_test = true});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kInvalid);
  const std::string sentence = "data: " + at("pictures").string() +
                               " has no test/, and pictures that are held out are needed: give data_test or "
                               "heldout_fraction";
  EXPECT_EQ(refused.error().message, sentence);
  const auto trained =
      split({.data = at("pictures").string(), .needs_test = true, .or_else = "measure none"});
  EXPECT_EQ(trained.error().message, sentence + ", or measure none");
  EXPECT_TRUE(split({.data = at("pictures").string()}));
  write_tars("others");
  const auto given =
      split({.data = at("pictures").string(), .data_test = at("others").string(), .needs_test = true});
  ASSERT_TRUE(given) << given.error().message;
  EXPECT_EQ(given->test->key(0), "00000.tar/birds/picture-0.png");
  EXPECT_THAT(split({.data = at("pictures").string(), .data_test = at("none").string(), .needs_test = true})
                  .error()
                  .message,
              HasSubstr("data_test: "));
  EXPECT_THAT(
      split({.data = at("pictures").string(), .data_test = "x", .heldout_fraction = .1}).error().message,
      HasSubstr("give one of them"));
}

TEST_F(SampleSourceTest, AFractionIsHeldOutOnceAndForAll) {
  write_folder("pictures");
  const auto splits = split({.data = at("pictures").string(), .heldout_fraction = .3, .needs_test = true});
  ASSERT_TRUE(splits) << splits.error().message;
  const auto train = keys_of(*splits->train), test = keys_of(*splits->test);
  EXPECT_EQ(train.size(), 7u);
  EXPECT_EQ(test.size(), 3u);
  std::set<std::string> all(train.begin(), train.end());
  all.insert(test.begin(), test.end());
  EXPECT_EQ(all.size(), 10u);
  EXPECT_EQ(splits->train->read_picture(0)->text(), png(train[0].at(train[0].size() - 5) - '0'));
  const auto again = split({.data = at("pictures").string(), .heldout_fraction = .3, .needs_test = true});
  EXPECT_EQ(keys_of(*again->test), test);
  EXPECT_EQ(again->train->hash(), splits->train->hash());
  EXPECT_NE(splits->train->hash(), splits->test->hash());
  EXPECT_NE(splits->train->hash(), open("pictures").set->hash());
  EXPECT_THAT(splits->about, ElementsAre("train: 10 pictures", "test: 3 pictures of them, held out"));
  // A run that never looks at what is held out must not learn from it either.
  EXPECT_EQ(keys_of(*split({.data = at("pictures").string(), .heldout_fraction = .3})->train), train);
  const auto least = split({.data = at("pictures").string(), .heldout_fraction = .01, .needs_test = true});
  EXPECT_EQ(least->test->size(), 1u);
}

TEST_F(SampleSourceTest, HeldOutOfADatasetsTrainGoesBeforeItsTest) {
  write_pictures(disk_, at("curated/train"), 8);
  write_pictures(disk_, at("curated/test"), 3);
  const auto splits = split({.data = at("curated").string(), .heldout_fraction = .5, .needs_test = true});
  ASSERT_TRUE(splits);
  EXPECT_EQ(splits->train->size(), 4u);
  EXPECT_EQ(splits->test->size(), 4u);
}

// One tar on a disk whose next reads fail.
class FailingReads : public testing::Test {
 protected:
  void SetUp() override {
    std::string tar;
    for (int i = 0; i < 4; ++i) tar += storage::tar_file(path_of(i), png(i));
    ASSERT_TRUE(storage::write_atomically(disk_, "/a.tar", tar));
    auto source = open_source(disk_, "/a.tar", {.threads = 1, .patience = kPatience});
    ASSERT_TRUE(source) << source.error().message;
    set_ = source->set;
  }
  static constexpr storage::Patience kPatience{.retries = 3, .pause = std::chrono::milliseconds(0)};
  storage::FaultyDisk disk_;
  SampleSetPtr set_;
};

TEST_F(FailingReads, AreReadAgainAndChangeNothing) {
  LoaderOptions options = small();
  options.patience = kPatience;
  const Batch want = Loader(*set_, options, 0).next();
  Loader loader(*set_, options, 0);
  disk_.fail_reads(3, Code::kUnavailable);
  EXPECT_TRUE(equal(loader.next(), want));
  EXPECT_EQ(loader.retries(), 3u);
  EXPECT_TRUE(loader.quarantined().empty());
}

TEST_F(FailingReads, ThatGoOnEndTheRunWithoutABadPicture) {
  LoaderOptions options = small();
  options.patience = kPatience;
  Loader loader(*set_, options, 0);
  disk_.fail_reads(1'000, Code::kUnavailable);
  EXPECT_THROW(loader.next(), std::runtime_error);
  EXPECT_EQ(loader.retries(), 3u);
  EXPECT_TRUE(loader.quarantined().empty());
}

TEST_F(FailingReads, OfAnotherKindAreNotTriedAgain) {
  const PictureSource source(*set_, 0, 3, kPatience);
  disk_.fail_reads(1, Code::kDenied);
  EXPECT_EQ(source.picture(0).error().code, Code::kDenied);
  EXPECT_EQ(source.retries(), 0u);
}

TEST_F(FailingReads, WhenTheSourceIsOpenedAreTriedAgainToo) {
  ASSERT_TRUE(disk_.remove_all("/a.tar.paddock-index"));
  disk_.fail_reads(2, Code::kUnavailable);
  const auto again = open_source(disk_, "/a.tar", {.threads = 1, .patience = kPatience});
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->set->hash(), set_->hash());
}

}  // namespace
}  // namespace paddock::data
