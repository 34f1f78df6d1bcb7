// A run that is killed at any step and started again ends in the same bits as one that never was.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <sstream>

#include "jobs/checkpoint_writer.h"
#include "jobs/distill.h"
#include "jobs/model_checkpoint.h"
#include "jobs/pretrain.h"
#include "jobs/tensors.h"
#include "jobs/training_batches.h"
#include "jobs/training_loss.h"
#include "outcome.h"
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
void run(const TrainingPlan& plan, const fs::path& dir, std::int64_t killed_after = -1,
         const fs::path& reports = "/dev/null") {
  model::OneRank ranks;
  const int descriptor = ::open(reports.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  ReportChannel report(descriptor, true);
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
  ::close(descriptor);
}

model::TensorMap as_map(const model::NamedTensors& tensors) {
  return {tensors.begin(), tensors.end()};
}

// As others release a backbone: without heads.
void write_backbone(const model::NamedTensors& parameters, const fs::path& file) {
  storage::RealDisk disk;
  std::vector<storage::TensorBytes> bytes;
  for (const auto& [name, tensor] : parameters) bytes.push_back(bytes_of_tensor(name, tensor));
  value_or_throw(storage::write_safetensors(disk, file, bytes), "writing a backbone");
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

TEST_F(TrainingTest, ActivationCheckpointingMayBeSwitchedAtAResumeAndChangesNoBit) {
  auto options = tiny_options(data_);
  run(tiny_plan(options), folder_.path() / "undisturbed");
  const auto dir = folder_.path() / "switched";
  run(tiny_plan(options), dir, 6);
  options["run"]["activation_checkpointing"] = true;
  run(tiny_plan(options), dir);
  EXPECT_TRUE(outcome(dir) == outcome(folder_.path() / "undisturbed"));
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

// What is written to std::cerr while this lives.
class CapturedErrors {
 public:
  CapturedErrors() : before_(std::cerr.rdbuf(captured_.rdbuf())) {}
  ~CapturedErrors() { std::cerr.rdbuf(before_); }
  CapturedErrors(const CapturedErrors&) = delete;
  CapturedErrors& operator=(const CapturedErrors&) = delete;

  int lines_with(const std::string& words) const {
    std::istringstream all(captured_.str());
    int count = 0;
    for (std::string line; std::getline(all, line);) count += line.find(words) != std::string::npos;
    return count;
  }

 private:
  std::ostringstream captured_;
  std::streambuf* const before_;
};

// Eight test pictures are one batch, so each measurement meets the torn one; 20 train pictures are 2.5 steps.
TEST_F(TrainingTest, ATornPictureIsSaidOnceAndCountedAlsoByARunThatDoesNotEnd) {
  const auto data = folder_.path() / "torn";
  write_split(data / "train", 20, 1, 3);
  write_split(data / "test", 8, 2, 4);
  const auto plan = tiny_plan(tiny_options(data));
  const auto reports = folder_.path() / "reports.jsonl";
  for (const std::int64_t killed_after : {4, -1}) {
    const CapturedErrors errors;
    run(plan, folder_.path() / "run", killed_after, reports);
    EXPECT_EQ(errors.lines_with("train picture picture-3 was put aside: "), 1) << killed_after;
    EXPECT_EQ(errors.lines_with(" was put aside: "), 2) << killed_after;
    EXPECT_EQ(errors.lines_with("test picture picture-4 was put aside: "), 1) << killed_after;
  }
  std::istringstream lines(text_of_file(reports));
  nlohmann::json last;
  for (std::string line; std::getline(lines, line);) {
    if (const auto report = nlohmann::json::parse(line); report.contains("progress"))
      last = report["progress"];
  }
  EXPECT_EQ(last.at("step"), 12);
  EXPECT_EQ(last.at("quarantined"), 2);
}

TEST_F(TrainingTest, WithoutTheDinoLossNoLocalViewIsMade) {
  auto options = tiny_options(data_);
  EXPECT_EQ(loader_options(tiny_plan(options), {0, 1}).views.num_local, 2);
  options["loss"]["dino_weight"] = 0;
  const auto plan = tiny_plan(options);
  EXPECT_EQ(loader_options(plan, {0, 1}).views.num_local, 0);
  EXPECT_EQ(loss_options(plan).local_crops, 0);
}

TEST_F(TrainingTest, WithoutLocalCropsTheirSizeDoesNotMatter) {
  auto options = tiny_options(data_);
  options["crops"]["local_count"] = 0;
  options["crops"]["local_size"] = 15;  // no multiple of the patch
  options["schedule"]["steps"] = 4;
  run(tiny_plan(options), folder_.path() / "run");
  EXPECT_TRUE(fs::exists(folder_.path() / "run" / "checkpoints" / "step-0000000004"));
}

// The check of the check: a resume that forgot something must show.
TEST_F(TrainingTest, ResumingWithoutAnyOneItemOfTheStateEndsInOtherBits) {
  const auto plan = tiny_plan(tiny_options(data_));
  run(plan, folder_.path() / "undisturbed");
  const std::string wanted = outcome(folder_.path() / "undisturbed");
  storage::RealDisk disk;
  // "nothing" is the control: what this test does beside forgetting must not show.
  for (const std::string item :
       {"nothing", "student.", "first.", "second.", "teacher.", "center.", "updates"}) {
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
    EXPECT_EQ(outcome(dir) == wanted, item == "nothing") << item << " was lost";
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

// Samples 6 to 15 spoil every gradient: the run goes back to step 4 and on with sample 16.
TEST_F(TrainingTest, ARunOfBadStepsGoesBackToAGoodCheckpointAndOnWithOtherSamplesAlsoWhenKilled) {
  auto options = tiny_options(data_);
  options["schedule"]["steps"] = 20;
  const auto plan = tiny_plan(options);
  const auto run_spoilt = [&](const fs::path& dir, int killed_at_second) {
    model::OneRank ranks;
    ReportChannel report(-1, true);
    TrainingHooks hooks;
    hooks.on_gradients = [](std::int64_t data_step, const std::string&, torch::Tensor& gradients) {
      if (data_step >= 6 && data_step < 16) gradients[0] = std::numeric_limits<float>::quiet_NaN();
    };
    int seen = 0;
    hooks.after_step = [&, killed_at_second](std::int64_t step) {
      if (step == killed_at_second && ++seen == 2) throw Killed{};
    };
    try {
      EXPECT_EQ(train(plan, dir, {}, ranks, report, hooks), TrainingEnd::kFinished);
    } catch (const Killed&) {
      EXPECT_GT(killed_at_second, 0);
    }
  };
  const auto undisturbed = folder_.path() / "undisturbed";
  run_spoilt(undisturbed, -1);
  std::istringstream lines(text_of_file(undisturbed / "metrics.jsonl"));
  std::int64_t wanted = 1;
  for (std::string line; std::getline(lines, line); ++wanted) {
    const auto json = nlohmann::json::parse(line);
    EXPECT_EQ(json.at("step"), wanted);
    EXPECT_TRUE(json.at("grad_norm").is_number()) << line;
  }
  EXPECT_EQ(wanted, 21);
  EXPECT_THAT(text_of_file(undisturbed / "events.jsonl"), testing::HasSubstr("went back to step 4"));
  for (const int killed : {6, 9, 13}) {
    const auto dir = folder_.path() / ("killed-" + std::to_string(killed));
    run_spoilt(dir, killed);
    run_spoilt(dir, -1);
    EXPECT_TRUE(outcome(dir) == outcome(undisturbed)) << "killed at step " << killed << ", the second time";
  }
}

TEST_F(TrainingTest, TheBestCheckpointAndEveryTenthStayWhateverTheirAge) {
  const auto at = [](std::int64_t step) {
    storage::CheckpointInfo info;
    info.step = step;
    return info;
  };
  const std::vector<storage::CheckpointInfo> all{at(40), at(35), at(30), at(20), at(10)};
  const HeldoutLosses losses{{35, 2.0}, {20, 1.5}, {15, .1}, {40, std::nan("")}};
  EXPECT_THAT(pinned_steps(all, 10, losses), testing::UnorderedElementsAre(40, 30, 20, 10, 20));
  EXPECT_THAT(pinned_steps(all, 0, losses), testing::ElementsAre(20));
  EXPECT_THAT(pinned_steps(all, 0, {}), testing::ElementsAre());
}

// DINOv2's last phase: the same networks at a higher resolution.
TEST_F(TrainingTest, AdaptationBeginsFromARunsAverageAtAnotherSizeAndResumesInTheSameBits) {
  run(tiny_plan(tiny_options(data_)), folder_.path() / "first");
  const auto from = (folder_.path() / "first" / "checkpoints" / "step-0000000012").string();
  auto options = tiny_options(data_);
  options.erase("backbone");
  options["from"] = from;
  options["crops"]["global_size"] = 48;
  const auto parsed = spec::adapt_table().parse(options);
  ASSERT_TRUE(parsed) << parsed.error().front().path << " " << parsed.error().front().message;
  const auto plan = adapt_plan(*parsed);
  EXPECT_EQ(plan.student.backbone.image_height, 48);
  EXPECT_EQ(plan.student.dino_head.prototypes, 64);
  const auto before = load_backbone(from);
  EXPECT_TRUE(torch::equal(plan.initial_weights.at("backbone.pos_embed"), before.network->positions(6, 6)));
  EXPECT_TRUE(torch::equal(plan.initial_weights.at("backbone.norm.weight"),
                           as_map(before.network->parameters()).at("norm.weight")));
  run(plan, folder_.path() / "undisturbed");
  run(plan, folder_.path() / "killed", 7);
  run(plan, folder_.path() / "killed");
  EXPECT_TRUE(outcome(folder_.path() / "undisturbed") == outcome(folder_.path() / "killed"));
}

TEST_F(TrainingTest, HeadsWarmUpWhileABackboneWithoutThemWaits) {
  auto first = tiny_options(data_);
  first["backbone"]["embed_dim"] = 64;  // heads of 64: what files that do not say are taken to have
  first["backbone"]["heads"] = 1;
  run(tiny_plan(first), folder_.path() / "first");
  const auto before = load_backbone((folder_.path() / "first" / "checkpoints" / "step-0000000012").string());
  const auto file = folder_.path() / "released.safetensors";
  write_backbone(before.network->parameters(), file);
  auto options = tiny_options(data_);
  options.erase("backbone");
  options["from"] = file.string();
  options["head_warmup_steps"] = 8;
  options["schedule"]["warmup_steps"] = 0;
  options["schedule"]["freeze_last_layer_steps"] = 0;
  const auto parsed = spec::adapt_table().parse(options);
  ASSERT_TRUE(parsed) << parsed.error().front().path << " " << parsed.error().front().message;
  const auto plan = adapt_plan(*parsed);
  const auto dir = folder_.path() / "run";
  run(plan, dir, 9);
  const auto backbone_at = [&](const char* step) {
    return as_map(load_backbone((dir / "checkpoints" / step).string(), "student").network->parameters());
  };
  const auto initial = as_map(before.network->parameters());
  for (const auto& [name, tensor] : backbone_at("step-0000000008"))
    EXPECT_TRUE(torch::equal(tensor, initial.at(name))) << name;
  run(plan, dir);
  EXPECT_FALSE(torch::equal(backbone_at("step-0000000012").at("blocks.0.attn.qkv.weight"),
                            initial.at("blocks.0.attn.qkv.weight")));
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

  // The weights that were read are in the teacher's network, and nowhere else any more.
  auto given_away = distill_plan(*parsed);
  const torch::Tensor weight = given_away.frozen_weights.begin()->second;
  EXPECT_GT(weight.use_count(), 1u);
  model::OneRank ranks;
  ReportChannel report(-1, true);
  TrainingHooks hooks;
  hooks.after_step = [&](std::int64_t) {
    EXPECT_EQ(weight.use_count(), 1u);
    throw Killed{};
  };
  EXPECT_THROW(train(std::move(given_away), folder_.path() / "given-away", {}, ranks, report, hooks), Killed);
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
