// A run learns the same from the same pictures, whatever holds them; and says what it lacks.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "jobs/evaluate/evaluate.h"
#include "jobs/pretrain.h"
#include "jobs/spec/evaluate.h"
#include "jobs/training.h"
#include "jobs/training_pictures.h"
#include "tests/jobs/outcome.h"
#include "tests/jobs/tiny_run.h"
#include "tests/model/ranks_in_memory.h"
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

// One node's copy of the files lacks one: it would permute another set, and train on other samples.
TEST_F(SourcesTest, RanksThatSeeOtherPicturesAreRefused) {
  const fs::path data = write_dataset(at("dataset"));
  copy_split(data / "train", at("a/train"), at("a.tar"));
  copy_split(data / "train", at("b/train"), at("b.tar"));
  const auto compare = [&] {
    model::RanksInMemory(2).run([&](model::Collective& rank) {
      const auto splits = value_or_throw(
          data::open_splits(disk_, {.data = at(rank.rank() == 0 ? "a" : "b").string(), .needs_test = false}),
          "opening");
      compare_pictures(*splits.train, "/data", rank);
    });
  };
  EXPECT_NO_THROW(compare());
  fs::remove(*fs::directory_iterator(at("b/train")));
  try {
    compare();
    FAIL() << "it was not noticed";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("rank 1 sees other pictures in /data than rank 0"));
  }
}

// Pictures of one colour each, in a folder a colour. The first `misplaced` red ones lie among the blue.
void write_colors(const fs::path& dir, int of_each, int misplaced = 0) {
  for (int i = 0; i < 2 * of_each; ++i) {
    const bool is_red = i < of_each;
    data::Image picture(40, 40);
    for (std::size_t byte = 0; byte < picture.rgb.size(); ++byte)
      picture.rgb[byte] = static_cast<std::uint8_t>(byte % 3 == (is_red ? 0u : 2u) ? 160 + i : i);
    const fs::path folder = dir / (is_red && i >= misplaced ? "red" : "blue");
    fs::create_directories(folder);
    const auto png = data::encode_png(picture);
    std::ofstream(folder / (std::to_string(100 + i) + ".png"), std::ios::binary)
        .write(reinterpret_cast<const char*>(png.data()), static_cast<std::streamsize>(png.size()));
  }
}

TEST_F(SourcesTest, PicturesInAFolderAClassAreJudgedWhileARunLearns) {
  write_colors(at("colors/train"), 20);
  write_colors(at("colors/test"), 8, 4);
  std::ofstream(at("colors/test/red/none.png")) << "no picture";
  nlohmann::json options = tiny_options(at("colors"));
  options["run"]["knn_every"] = 5;
  run(options, at("run"));
  const auto lines = lines_of(at("run") / "knn.jsonl");
  std::vector<std::int64_t> steps;
  for (const auto& line : lines) {
    steps.push_back(line.at("step").get<std::int64_t>());
    EXPECT_EQ(line.at("accuracy").get<double>(), .75) << "a quarter lies in the wrong folder";
    EXPECT_EQ(line.at("bank"), 40);
    EXPECT_EQ(line.at("judged"), 16) << "what is no picture is left out";
  }
  EXPECT_EQ(steps, (std::vector<std::int64_t>{0, 5, 10, 12}));
}

TEST_F(SourcesTest, WithoutLabelsThereIsNothingToJudge) {
  const fs::path data = write_dataset(at("dataset"));
  nlohmann::json options = tiny_options(data);
  options["run"]["knn_every"] = 5;
  run(options, at("run"));
  EXPECT_EQ(text_of_file(at("run") / "knn.jsonl"), "");
}

TEST_F(SourcesTest, PicturesInAFolderAClassAreEvaluatedAndATestSplitMayLieElsewhere) {
  write_colors(at("colors/train"), 20);
  write_colors(at("colors/test"), 8, 4);
  run(tiny_options(at("colors")), at("run"));
  nlohmann::json options{{"data", at("colors").string()},
                         {"models", {{"tiny", (at("run") / "checkpoints/step-0000000012").string()}}},
                         {"image_size", 32},
                         {"linear", {{"enabled", false}}},
                         {"pictures", 0}};
  const auto evaluated = [&](const char* dir) {
    const auto parsed = spec::evaluate_table().parse(options);
    EXPECT_TRUE(parsed) << parsed.error().front().message;
    const int descriptor = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    ReportChannel report(descriptor, true);
    evaluate::run_evaluate(*parsed, at(dir), report);
    ::close(descriptor);
    return text_of_file(at(dir) / "report/report.md");
  };
  const std::string report = evaluated("report");
  EXPECT_THAT(report, HasSubstr("75.0"));
  options["data"] = at("colors/train").string();
  options["data_test"] = at("colors/test").string();
  EXPECT_EQ(evaluated("other-report"), report);
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
