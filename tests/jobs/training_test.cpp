// A run that is killed at any step and started again ends in the same bits as one that never was.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "jobs/distill.h"
#include "jobs/model_checkpoint.h"
#include "jobs/pretrain.h"
#include "storage/checkpoint.h"
#include "tiny_run.h"

namespace paddock::jobs {
namespace {

struct Killed {};

TrainingPlan tiny_plan(const nlohmann::json& options) {
  const auto parsed = spec::pretrain_table().parse(options);
  if (!parsed)
    throw std::invalid_argument(parsed.error().front().path + " " + parsed.error().front().message);
  return pretrain_plan(*parsed);
}

// Runs until the end, or until `killed_after` steps of this attempt's.
void run(const TrainingPlan& plan, const fs::path& dir, std::int64_t killed_after = -1) {
  model::OneRank ranks;
  ReportChannel report(-1, true);
  TrainingHooks hooks;
  if (killed_after >= 0) {
    hooks.after_step = [killed_after](std::int64_t step) {
      if (step == killed_after) throw Killed{};
    };
  }
  try {
    EXPECT_EQ(train(plan, dir, {}, ranks, report, hooks), TrainingEnd::kFinished);
  } catch (const Killed&) {
  }
}

// All that a run promises to be the same: the newest checkpoint's tensors and the logs without times.
std::string outcome(const fs::path& dir) {
  storage::RealDisk disk;
  const auto checkpoint =
      value_or_throw(storage::load_newest_checkpoint(disk, dir, [](const fs::path&, const Error&) {}),
                     "reading the outcome");
  std::string all = std::to_string(checkpoint.info().step);
  for (const auto& tensor : checkpoint.tensors())
    all += tensor.name + std::string(storage::text_of(tensor.bytes));
  return all + text_of_file(dir / "metrics.jsonl") + text_of_file(dir / "heldout.jsonl");
}

class TrainingTest : public testing::Test {
 protected:
  TemporaryFolder folder_;
  const fs::path data_ = write_dataset(folder_.path() / "dataset");
};

TEST_F(TrainingTest, KilledAfterAnyStepAndResumedEndsInTheSameBits) {
  const auto plan = tiny_plan(tiny_options(data_));
  run(plan, folder_.path() / "undisturbed");
  const std::string wanted = outcome(folder_.path() / "undisturbed");
  const auto lines = [](const std::string& text) { return std::count(text.begin(), text.end(), '\n'); };
  EXPECT_EQ(lines(text_of_file(folder_.path() / "undisturbed" / "metrics.jsonl")), 12);
  EXPECT_EQ(lines(text_of_file(folder_.path() / "undisturbed" / "heldout.jsonl")),
            4);  // steps 0, 5, 10 and 12
  for (const std::int64_t kill : {1, 4, 6, 11}) {
    const auto dir = folder_.path() / ("killed-" + std::to_string(kill));
    run(plan, dir, kill);
    run(plan, dir);
    EXPECT_TRUE(outcome(dir) == wanted) << "killed after step " << kill;
  }
  const auto often = folder_.path() / "often";
  for (const std::int64_t kill : {2, 5, 7, 9, 10}) run(plan, often, kill);
  run(plan, often);
  EXPECT_TRUE(outcome(often) == wanted);
}

TEST_F(TrainingTest, DinoAloneAndIbotAloneAreOneLineOfConfiguration) {
  const auto losses_with = [&](const char* weight) {
    auto options = tiny_options(data_);
    options["loss"][weight] = 0;
    const auto dir = folder_.path() / weight;
    run(tiny_plan(options), dir);
    std::istringstream lines(text_of_file(dir / "metrics.jsonl"));
    std::string line, last;
    while (std::getline(lines, line)) last = line;
    return nlohmann::json::parse(last);
  };
  const auto dino = losses_with("ibot_weight"), ibot = losses_with("dino_weight");
  EXPECT_EQ(dino.at("ibot"), 0);
  EXPECT_GT(dino.at("dino_local"), 0);
  EXPECT_GT(dino.at("dino_global"), 0);
  EXPECT_GT(ibot.at("ibot"), 0);
  EXPECT_EQ(ibot.at("dino_local"), 0);
  EXPECT_EQ(ibot.at("dino_global"), 0);
  auto neither = tiny_options(data_);
  neither["loss"] = {{"dino_weight", 0}, {"ibot_weight", 0}};
  EXPECT_THROW(tiny_plan(neither), std::invalid_argument);
}

TEST_F(TrainingTest, AFinishedRunIsReportedAgainAndStaysAsItIs) {
  const auto plan = tiny_plan(tiny_options(data_));
  run(plan, folder_.path() / "run");
  const std::string first = outcome(folder_.path() / "run");
  run(plan, folder_.path() / "run");
  EXPECT_TRUE(outcome(folder_.path() / "run") == first);
}

// The check of the check: a resume that forgot something must show.
TEST_F(TrainingTest, ResumingWithoutAnyOneItemOfTheStateEndsInOtherBits) {
  const auto plan = tiny_plan(tiny_options(data_));
  run(plan, folder_.path() / "undisturbed");
  const std::string wanted = outcome(folder_.path() / "undisturbed");
  storage::RealDisk disk;
  for (const std::string item : {"first.", "second.", "teacher.", "center.", "updates"}) {
    const auto dir = folder_.path() / ("without-" + item);
    run(plan, dir, 6);
    const auto checkpoint = value_or_throw(
        storage::load_newest_checkpoint(disk, dir, [](const fs::path&, const Error&) {}), "reading");
    ASSERT_EQ(checkpoint.info().step, 4);
    storage::CheckpointContent content{4, checkpoint.info().fence, checkpoint.state(), {}};
    std::vector<std::byte> zeros(1 << 20);
    for (const char* file : {"student", "teacher", "optimizer", "centers"}) {
      const std::string name = std::string(file) + ".safetensors";
      auto tensors = value_or_throw(checkpoint.tensors(name), "reading");
      for (auto& tensor : tensors) {
        if (tensor.name.starts_with(item)) tensor.bytes = {zeros.data(), tensor.bytes.size()};
      }
      content.files.emplace_back(name, std::move(tensors));
    }
    if (item == "updates") content.state["updates"] = 0;
    value_or_throw(storage::write_checkpoint(disk, dir, content), "writing");
    run(plan, dir);
    EXPECT_FALSE(outcome(dir) == wanted) << "nobody noticed that " << item << " was lost";
  }
}

TEST_F(TrainingTest, ADamagedNewestCheckpointFallsBackToTheOneBefore) {
  const auto plan = tiny_plan(tiny_options(data_));
  run(plan, folder_.path() / "undisturbed");
  const auto dir = folder_.path() / "damaged";
  run(plan, dir, 9);
  std::ofstream(dir / "checkpoints" / "step-0000000008" / "student.safetensors",
                std::ios::in | std::ios::out | std::ios::binary)
      .seekp(2000)
      .put('x');
  run(plan, dir);
  EXPECT_TRUE(outcome(dir) == outcome(folder_.path() / "undisturbed"));
}

TEST_F(TrainingTest, AnotherRunInTheSameFolderIsRefused) {
  run(tiny_plan(tiny_options(data_)), folder_.path() / "run");
  auto options = tiny_options(data_);
  options["schedule"]["base_lr"] = .01;
  const auto other = tiny_plan(options);
  EXPECT_THROW(run(other, folder_.path() / "run"), std::invalid_argument);
}

TEST_F(TrainingTest, LossesWithoutFiniteValueAreSkippedAndThenEndTheRunWithASentence) {
  auto options = tiny_options(data_);
  options["schedule"]["base_lr"] = 1e30;
  options["schedule"]["clip"] = 0;
  options["schedule"]["steps"] = 40;
  const auto plan = tiny_plan(options);
  try {
    run(plan, folder_.path() / "run");
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("no finite loss or gradient"));
  }
}

TEST_F(TrainingTest, DistillationFromItResumesInTheSameBitsAndGivesALoadableBackbone) {
  run(tiny_plan(tiny_options(data_)), folder_.path() / "teacher");
  auto options = tiny_options(data_);
  for (const char* key : {"backbone", "heads"}) options.erase(key);
  options["teacher"] = (folder_.path() / "teacher" / "checkpoints" / "step-0000000012").string();
  options["student"] = {{"arch", "custom"}, {"embed_dim", 16}, {"depth", 2},
                        {"heads", 2},       {"patch_size", 8}, {"layerscale", .1}};
  options["dino_head"] = {{"hidden", 32}, {"bottleneck", 16}};
  const auto parsed = spec::distill_table().parse(options);
  ASSERT_TRUE(parsed) << parsed.error().front().path << " " << parsed.error().front().message;
  const auto plan = distill_plan(*parsed);
  run(plan, folder_.path() / "undisturbed");
  run(plan, folder_.path() / "killed", 7);
  run(plan, folder_.path() / "killed");
  EXPECT_TRUE(outcome(folder_.path() / "undisturbed") == outcome(folder_.path() / "killed"));
  const auto student =
      load_backbone((folder_.path() / "killed" / "checkpoints" / "step-0000000012").string());
  EXPECT_EQ(student.network->options().embed_dim, 16);
  EXPECT_EQ(student.network->forward_features(torch::zeros({1, 3, 32, 32})).cls_BD.size(1), 16);
}

TEST(TrainingOptions, ThatAreWrongAreAllNamed) {
  auto options = tiny_options("/nowhere");
  options["crops"]["global_size"] = 33;
  options["schedule"]["warmup_steps"] = 500;
  const auto parsed = spec::pretrain_table().parse(options);
  ASSERT_FALSE(parsed);
  std::string all;
  for (const auto& problem : parsed.error()) all += problem.path + " ";
  EXPECT_THAT(all, testing::AllOf(testing::HasSubstr("crops.global_size"),
                                  testing::HasSubstr("schedule.warmup_steps")));
}

}  // namespace
}  // namespace paddock::jobs
