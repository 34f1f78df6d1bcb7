// What a training says of itself before it starts, against the networks and the run that come of the same
// options.
#include "jobs/start_summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jobs/pretrain.h"
#include "jobs/spec/training_summary.h"
#include "tiny_run.h"

namespace paddock::jobs {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TrainingPlan plan_of(const nlohmann::json& options) {
  const auto parsed = spec::pretrain_table().parse(options);
  if (!parsed)
    throw std::invalid_argument(parsed.error().front().path + " " + parsed.error().front().message);
  return pretrain_plan(*parsed);
}

nlohmann::json options_with(const nlohmann::json& changes) {
  auto options = tiny_options("/nowhere");
  options.merge_patch(changes);
  return options;
}

std::int64_t elements(const model::NamedTensors& tensors) {
  std::int64_t count = 0;
  for (const auto& [name, tensor] : tensors) count += tensor.numel();
  return count;
}

TEST(StartSummary, ItsNumbersOfParametersAreThoseOfTheNetworks) {
  for (const auto& options :
       {options_with(nlohmann::json::object()),
        options_with({{"backbone", {{"ffn", "swiglu"}, {"registers", 3}}}}),
        options_with({{"backbone", {{"layerscale", 0}, {"channels", 4}}}, {"crops", {{"global_size", 48}}}}),
        options_with({{"heads",
                       {{"separate", true},
                        {"ibot", {{"prototypes", 10}, {"layers", 1}}},
                        {"dino", {{"layers", 2}}}}}})}) {
    const TrainingPlan plan = plan_of(options);
    const model::HeadedBackbone networks(plan.student);
    const auto summary = spec::summarize_training("pretrain", plan.options, {});
    ASSERT_TRUE(summary.has_value());
    EXPECT_EQ(summary->sizes->backbone_parameters, elements(networks.backbone.parameters())) << options;
    EXPECT_EQ(summary->sizes->backbone_parameters + summary->sizes->heads_parameters,
              elements(networks.parameters()))
        << options;
  }
}

TEST(StartSummary, KnowsTheDatasetTheRanksAndThePrecision) {
  const std::string text = start_summary(plan_of(tiny_options("/nowhere")), 50, 2, torch::kBFloat16);
  EXPECT_THAT(text, HasSubstr("12 steps of 8 pictures: 96 samples (1.92 epochs of 50 pictures)"));
  EXPECT_THAT(text, HasSubstr("2 ranks have at most 2 each"));
  EXPECT_THAT(text, HasSubstr("GiB a rank in bf16"));
}

// Each keeps other things for the backward pass, and the options leave it open which it is.
TEST(StartSummary, KnowsTheDevice) {
  const TrainingPlan plan = plan_of(options_with({{"backbone", {{"embed_dim", 384}, {"depth", 12}}},
                                                  {"batch_size", 512},
                                                  {"run", {{"device", "auto"}, {"precision", "auto"}}}}));
  const std::string on_cpu = start_summary(plan, 50, 1, torch::kBFloat16),
                    on_gpu = start_summary(plan, 50, 1, torch::kBFloat16, torch::kCUDA);
  EXPECT_NE(on_cpu, on_gpu);
  TrainingPlan said = plan;
  said.options["run"]["device"] = "cuda";
  EXPECT_EQ(start_summary(said, 50, 1, torch::kBFloat16, torch::kCUDA), on_gpu);
  said.options["run"]["device"] = "cpu";
  EXPECT_EQ(start_summary(said, 50, 1, torch::kBFloat16), on_cpu);
}

TEST(StartSummary, CountsAFrozenTeacher) {
  const TrainingPlan pretraining = plan_of(tiny_options("/nowhere"));
  TrainingPlan plan = pretraining;
  plan.kind = "distill";
  plan.options = {{"data", "/nowhere"}, {"teacher", "/nowhere"}, {"batch_size", 8}};
  EXPECT_THAT(start_summary(plan, 50, 1, torch::kFloat32), HasSubstr("at least"));
  plan.frozen_teacher = pretraining.student;
  const std::string text = start_summary(plan, 50, 1, torch::kFloat32);
  EXPECT_THAT(text, Not(HasSubstr("at least")));
  EXPECT_THAT(text, HasSubstr("heads 5.81 k parameters"));
}

TEST(StartSummary, IsEmptyForOtherKinds) {
  TrainingPlan plan = plan_of(tiny_options("/nowhere"));
  plan.kind = "sing";
  EXPECT_EQ(start_summary(plan, 50, 1, torch::kFloat32), "");
}

// With the files of a run, and what `train` wrote to its standard error.
std::string trained(const TrainingPlan& plan, const fs::path& dir) {
  model::OneRank ranks;
  ReportChannel report = ReportChannel::from_environment(true);
  testing::internal::CaptureStderr();
  train(plan, dir, {}, ranks, report);
  return testing::internal::GetCapturedStderr();
}

TEST(StartSummary, IsTheFirstThingThatATrainingSays) {
  const TemporaryFolder folder;
  const auto plan = plan_of(tiny_options(write_dataset(folder.path() / "dataset")));
  const std::string said = trained(plan, folder.path() / "run");
  EXPECT_THAT(said, HasSubstr(start_summary(plan, 50, 1, torch::kFloat32)));
  EXPECT_EQ(said.find("length    "), said.rfind("length    "));
}

}  // namespace
}  // namespace paddock::jobs
