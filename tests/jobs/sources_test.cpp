// A run learns the same from the same pictures, whatever holds them; and says what it lacks.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "jobs/pretrain.h"
#include "jobs/training.h"
#include "tests/jobs/tiny_run.h"
#include "tests/storage/tar_archive.h"

namespace paddock::jobs {
namespace {

using testing::HasSubstr;

void run(const nlohmann::json& options, const fs::path& dir) {
  const auto parsed = spec::pretrain_table().parse(options);
  ASSERT_TRUE(parsed) << parsed.error().front().message;
  model::OneRank ranks;
  const int descriptor = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  ReportChannel report(descriptor, true);
  EXPECT_EQ(train(pretrain_plan(*parsed), dir, {}, ranks, report), TrainingEnd::kFinished);
  ::close(descriptor);
}

class SourcesTest : public testing::Test {
 protected:
  fs::path at(const char* name) const { return folder_.path() / name; }

  // The pictures of a shard set as files and as a tar, in its order.
  void copy_split(const fs::path& shards, const fs::path& pictures, const fs::path& tar) {
    const auto set = value_or_throw(storage::ShardSet::open(disk_, shards), "opening a split");
    fs::create_directories(pictures);
    fs::create_directories(tar.parent_path());
    std::string archive;
    for (std::uint64_t i = 0; i < set.size(); ++i) {
      const auto bytes = value_or_throw(set.read_picture(i), "reading a picture");
      const std::string name = std::to_string(100 + i) + ".png";
      std::ofstream(pictures / name, std::ios::binary) << bytes.text();
      archive += storage::tar_file(name, std::string(bytes.text()));
    }
    std::ofstream(tar, std::ios::binary) << archive << storage::tar_end();
  }

  TemporaryFolder folder_;
  storage::RealDisk disk_;
};

TEST_F(SourcesTest, ARunIsTheSameFromShardsFromFilesAndFromTars) {
  const fs::path data = write_dataset(at("dataset"));
  copy_split(data / "train", at("files/train"), at("tars/train/00.tar"));
  copy_split(data / "test", at("files/test"), at("other.tar"));
  nlohmann::json options = tiny_options(data);
  run(options, at("from-shards"));
  const std::string metrics = text_of_file(at("from-shards") / "metrics.jsonl");
  const std::string heldout = text_of_file(at("from-shards") / "heldout.jsonl");
  ASSERT_FALSE(metrics.empty() || heldout.empty());
  options["data"] = at("files").string();
  run(options, at("from-files"));
  EXPECT_EQ(text_of_file(at("from-files") / "metrics.jsonl"), metrics);
  EXPECT_EQ(text_of_file(at("from-files") / "heldout.jsonl"), heldout);
  options["data"] = at("tars").string();
  options["data_test"] = at("other.tar").string();
  run(options, at("from-tars"));
  EXPECT_EQ(text_of_file(at("from-tars") / "metrics.jsonl"), metrics);
  EXPECT_EQ(text_of_file(at("from-tars") / "heldout.jsonl"), heldout);
}

TEST_F(SourcesTest, WithoutATestSplitARunAsksForOne) {
  const fs::path data = write_dataset(at("dataset"));
  copy_split(data / "train", at("files"), at("tars/00.tar"));
  nlohmann::json options = tiny_options(at("files"));
  try {
    run(options, at("refused"));
    FAIL() << "was not refused";
  } catch (const std::invalid_argument& refusal) {
    EXPECT_THAT(refusal.what(),
                HasSubstr("give data_test or heldout_fraction, or set run.heldout_every to 0"));
  }
  options["heldout_fraction"] = .2;
  run(options, at("held-out"));
  EXPECT_FALSE(text_of_file(at("held-out") / "heldout.jsonl").empty());
}

TEST_F(SourcesTest, ARunDoesNotGoOnWithOtherFilesUnderTheSameNames) {
  const fs::path data = write_dataset(at("dataset"));
  copy_split(data / "train", at("files"), at("tars/00.tar"));
  nlohmann::json options = tiny_options(at("files"));
  options["run"]["heldout_every"] = 0;
  run(options, at("run"));
  fs::last_write_time(at("files/100.png"),
                      fs::last_write_time(at("files/100.png")) + std::chrono::seconds(1));
  try {
    run(options, at("run"));
    FAIL() << "went on";
  } catch (const std::invalid_argument& refusal) {
    EXPECT_THAT(refusal.what(), HasSubstr("another dataset"));
  }
}

}  // namespace
}  // namespace paddock::jobs
