// Weights of which a rank has a slice: the bits of whole ones, for any number of ranks, in the memory that is promised.
#include <c10/core/Allocator.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>

#include "jobs/pretrain.h"
#include "jobs/spec/training_memory.h"
#include "jobs/tensors.h"
#include "outcome.h"
#include "pupil_steps.h"
#include "tiny_run.h"

namespace paddock::jobs {
namespace {

using ::testing::HasSubstr;

TEST(SlicedWeights, HaveTheBitsOfWholeOnesOnAnyNumberOfRanks) {
  const Trained wanted = trained_on(1, {});
  EXPECT_EQ(wanted.tensors.size(), 4 * model::HeadedBackbone(networks()).parameters().size());
  EXPECT_NE(wanted.losses.front(), wanted.losses.back());
  for (const bool is_checkpointing : {false, true}) {
    for (const std::int64_t ranks : {1, 2, 3}) {
      EXPECT_TRUE(trained_on(ranks, {HeldWeights::kSliced, is_checkpointing}) == wanted)
          << ranks << " ranks" << (is_checkpointing ? ", checkpointing" : "");
    }
  }
}

TEST(SlicedWeights, BeginFromGivenWeightsAsWholeOnesDo) {
  model::HeadedBackbone given(networks());
  given.initialize(99);
  const auto backbone = model::with_prefix("backbone.", given.backbone.parameters());
  const model::TensorMap weights(backbone.begin(), backbone.end());
  const Trained wanted = trained_on(1, {.begin_from = &weights});
  EXPECT_FALSE(wanted == trained_on(1, {}));
  for (const std::int64_t ranks : {1, 2})
    EXPECT_TRUE(trained_on(ranks, {.weights = HeldWeights::kSliced, .begin_from = &weights}) == wanted);
}

// The check of the check: a slice that did not arrive must show.
TEST(SlicedWeights, EndInOtherBitsWithoutAnyOneSliceOfTheOthers) {
  const Trained wanted = trained_on(2, {HeldWeights::kSliced});
  for (const std::string whose : {"student", "average"}) {
    for (const bool is_in_products : {false, true}) {
      for (const std::int64_t root : {0, 1}) {
        EXPECT_FALSE(trained_on(2, {.weights = HeldWeights::kSliced,
                                    .forgotten = Forgotten{whose, is_in_products, root}}) == wanted)
            << whose << (is_in_products ? " in bfloat16" : " in float32") << " from rank " << root;
      }
    }
  }
}

// Bytes of LibTorch's tensors that are alive on this thread's account.
class Meter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, std::int64_t size, std::size_t, std::size_t, c10::Device) override {
    now_ += size;
  }
  bool memoryProfilingEnabled() const override { return true; }
  std::int64_t now() const { return now_; }

 private:
  std::int64_t now_ = 0;
};

// Large against what is lost between networks and to alignment.
spec::NetworkSize some_size() {
  spec::NetworkSize size;
  size.backbone.arch = "custom";
  size.backbone.embed_dim = 384;
  size.backbone.depth = 4;
  size.backbone.heads = 6;
  size.image_size = 224;
  size.dino_head = {8'192, 512, 256, 3};
  return size;
}

TEST(SlicedWeights, TakeTheMemoryThatIsEstimated) {
  const spec::NetworkSize size = some_size();
  model::HeadedBackboneOptions options;
  options.backbone.depth = size.backbone.depth;
  options.dino_head = head_options(size.dino_head);
  const auto parameters = static_cast<double>(spec::backbone_parameters(size) + spec::heads_parameters(size));
  for (const HeldWeights weights : {HeldWeights::kWhole, HeldWeights::kSliced}) {
    for (const std::int64_t count : {1, 2, 3}) {
      spec::TrainingRun run;
      run.batch_size = 8;
      run.shards = 4;
      run.ranks = count;
      run.student = size;
      run.teacher = size;
      run.is_sliced = weights == HeldWeights::kSliced;
      run.is_bf16 = run.is_sliced;  // else with the casts of a pass under way
      const spec::TrainingMemory memory = spec::training_memory(run);
      // The gradient, and where the sum of the slice will be: the others come with the first shard.
      const double gradients = 4 * parameters * (1 + (count > 1 ? 1 / static_cast<double>(count) : 0));
      // The rounded prototypes are there while a pass is under way.
      const double prototypes = static_cast<double>(size.dino_head.prototypes * size.dino_head.bottleneck);
      const double estimated =
          memory.weights + memory.optimiser + gradients - (run.is_sliced ? 2 * prototypes : 0);
      model::RanksInMemory(count).run([&](model::Collective& ranks) {
        const auto meter = std::make_shared<Meter>();
        const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, meter);
        const model::Shards shards(ranks, 4);
        Pupil pupil({options, {}, 1, weights}, torch::kCPU, shards);
        pupil.share();
        std::int64_t in_products = 0;
        for (const auto& weight : pupil.student.product_weights()) in_products += weight.numel();
        EXPECT_EQ(in_products,
                  spec::backbone_product_parameters(size) + spec::heads_product_parameters(size));
        EXPECT_NEAR(static_cast<double>(meter->now()) / estimated, 1, .02)
            << (run.is_sliced ? "sliced, " : "whole, ") << count << " ranks";
      });
      if (run.is_sliced) {
        EXPECT_LT(memory.weights, (4 + 8 / static_cast<double>(count) + 1.5) * parameters);
      }
    }
  }
}

struct Killed {};

class SlicedTrainingTest : public testing::Test {
 protected:
  nlohmann::json options() const {
    auto options = tiny_options(data_);
    options["run"]["precision"] = "bf16";
    options["run"]["weights"] = "sliced";
    return options;
  }
  static TrainingPlan plan_of(const nlohmann::json& options) {
    const auto parsed = spec::pretrain_table().parse(options);
    if (!parsed)
      throw std::invalid_argument(parsed.error().front().path + " " + parsed.error().front().message);
    return pretrain_plan(*parsed);
  }
  void run(const TrainingPlan& plan, const fs::path& dir, const TrainingHooks& hooks = {}) const {
    model::OneRank ranks;
    ReportChannel report(-1, true);
    EXPECT_EQ(train(plan, dir, {}, ranks, report, hooks), TrainingEnd::kFinished);
  }
  void run_until(const TrainingPlan& plan, const fs::path& dir, std::int64_t killed_after) const {
    TrainingHooks hooks;
    hooks.after_step = [killed_after](std::int64_t step) {
      if (step == killed_after) throw Killed{};
    };
    EXPECT_THROW(run(plan, dir, hooks), Killed);
  }
  // `change` sees the state alone, and then each tensor.
  static void rewrite(const storage::Checkpoint& checkpoint, const fs::path& dir,
                      const std::function<void(nlohmann::json& state, storage::TensorBytes*)>& change) {
    storage::CheckpointContent content{
        checkpoint.info().step, checkpoint.info().fence, checkpoint.state(), {}};
    change(content.state, nullptr);
    for (const char* file : {"student", "teacher", "optimizer", "centers"}) {
      const std::string name = std::string(file) + ".safetensors";
      auto tensors = value_or_throw(checkpoint.tensors(name), "reading");
      for (auto& tensor : tensors) change(content.state, &tensor);
      content.files.emplace_back(name, std::move(tensors));
    }
    storage::RealDisk disk;
    value_or_throw(storage::write_checkpoint(disk, dir, content), "writing");
  }
  std::string refusal(const TrainingPlan& plan) const {
    try {
      run(plan, folder_.path() / "refused");
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "nothing was refused";
  }

  TemporaryFolder folder_;
  const fs::path data_ = write_dataset(folder_.path() / "dataset");
};

TEST_F(SlicedTrainingTest, Float32IsRefusedWithASentence) {
  auto wrong = options();
  wrong["run"]["precision"] = "fp32";
  EXPECT_THROW(
      {
        try {
          plan_of(wrong);
        } catch (const std::invalid_argument& error) {
          EXPECT_EQ(std::string(error.what()),
                    "run.weights is sliced, which computes in bf16 alone, and precision is fp32: set "
                    "precision to bf16, or weights to whole");
          throw;
        }
      },
      std::invalid_argument);
}

TEST_F(SlicedTrainingTest, ARunWithWholeWeightsIsAnotherRun) {
  auto whole = options();
  whole["run"].erase("weights");
  run(plan_of(whole), folder_.path() / "refused");
  EXPECT_THAT(refusal(plan_of(options())), HasSubstr("holds a run with other options"));
}

TEST_F(SlicedTrainingTest, ARunFromBeforeTheOptionGoesOnWithWholeWeights) {
  auto whole = options();
  whole["run"].erase("weights");
  const auto plan = plan_of(whole);
  const auto dir = folder_.path() / "old";
  run_until(plan, dir, 7);
  rewrite(newest_checkpoint(dir), dir, [](nlohmann::json& state, storage::TensorBytes*) {
    if (state["options"]["run"].contains("weights")) state["options"]["run"].erase("weights");
  });
  ASSERT_FALSE(newest_checkpoint(dir).state()["options"]["run"].contains("weights"));
  run(plan, dir);
  run(plan, folder_.path() / "undisturbed");
  EXPECT_TRUE(outcome(dir) == outcome(folder_.path() / "undisturbed"));
}

// The weight that is no number spoils every step from the newest checkpoint on.
TEST_F(SlicedTrainingTest, GoesBackToTheNewestCheckpointWithFiniteWeights) {
  auto longer = options();
  longer["schedule"]["steps"] = 20;
  longer["run"]["checkpoint_every"] = 2;
  const auto plan = plan_of(longer);
  const auto dir = folder_.path() / "run";
  run_until(plan, dir, 7);
  ASSERT_EQ(newest_checkpoint(dir).info().step, 6);
  const std::vector<std::byte> no_numbers(1 << 10, std::byte{0xff});
  rewrite(newest_checkpoint(dir), dir, [&](nlohmann::json&, storage::TensorBytes* tensor) {
    if (tensor != nullptr && tensor->name == "student.backbone.norm.bias")
      tensor->bytes = {no_numbers.data(), tensor->bytes.size()};
  });
  run(plan, dir);
  EXPECT_THAT(text_of_file(dir / "events.jsonl"), HasSubstr("went back to step 4"));
  EXPECT_EQ(newest_checkpoint(dir).info().step, 20);
}

}  // namespace
}  // namespace paddock::jobs
