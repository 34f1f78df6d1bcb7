// bench/training_step.cpp – a whole training step of DINOv2 and its parts, on made pictures: images a second.
//   training_step_bench                                      ViT-S/14, batch 8, 2×224 + 8×98, K = 65,536, fp32
//   PADDOCK_BENCH_TYPE=bf16 PADDOCK_BENCH_BATCH=4 training_step_bench --benchmark_filter=Step
// OMP_NUM_THREADS says how many cores. The peer is peers/training_step.py: the same step in eager PyTorch.
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <torch/types.h>

#include <cstdlib>
#include <memory>
#include <string>

#include "base/memory.h"
#include "model/adamw.h"
#include "model/gradient_sum.h"
#include "model/self_distillation.h"

namespace paddock::model {
namespace {

constexpr std::int64_t kLocals = 8;
constexpr double kTemperature = .07, kMomentum = .994, kClip = 3;

std::string setting(const char* name, const char* otherwise) {
  const char* given = std::getenv(name);
  return given == nullptr ? otherwise : given;
}

HeadedBackboneOptions vit_small() {
  HeadedBackboneOptions options;
  options.backbone.image_height = options.backbone.image_width = 224;
  options.dino_head.prototypes = 65'536;
  options.dino_head.hidden = 2048;
  options.dino_head.bottleneck = 256;
  return options;
}

// Half of the global crops hide between a tenth and a half of their patches, evenly spread: the mean of the recipe.
CropBatch made_batch(std::int64_t images, std::int64_t patches) {
  torch::manual_seed(1);
  CropBatch batch;
  batch.globals = torch::randn({2 * images, 3, 224, 224});
  batch.locals = torch::randn({kLocals * images, 3, 98, 98});
  batch.masks_2BN = torch::zeros({2 * images, patches}, torch::kBool);
  std::vector<std::int64_t> chosen;
  std::vector<float> weights;
  for (std::int64_t i = 0; i < images; ++i) {
    const double share = .1 + .4 * (static_cast<double>(i) + .5) / static_cast<double>(images);
    const auto hidden = static_cast<std::int64_t>(share * static_cast<double>(patches));
    for (std::int64_t p = 0; p < hidden; ++p) {
      const std::int64_t patch = p * patches / hidden;
      batch.masks_2BN.index_put_({2 * i, patch}, true);
      chosen.push_back(2 * i * patches + patch);
      weights.push_back(1 / static_cast<float>(hidden));
    }
  }
  batch.patches_M = torch::tensor(chosen, torch::kInt64);
  batch.patch_weights_M = torch::tensor(weights);
  return batch;
}

struct Run {
  explicit Run(std::int64_t images)
      : student(vit_small()),
        teacher(vit_small()),
        batch(made_batch(images, 256)),
        targets(Centering::kSinkhornKnopp, 0, 0) {
    student.initialize(1);
    teacher.initialize(1);
    const auto type = setting("PADDOCK_BENCH_TYPE", "fp32") == "bf16" ? torch::kBFloat16 : torch::kFloat32;
    student.set_compute_type(type);
    teacher.set_compute_type(type);
    student_parameters = std::make_unique<FlatParameters>(student.parameters(), true);
    teacher_parameters = std::make_unique<FlatParameters>(teacher.parameters(), false);
    gradients = std::make_unique<GradientSum>(*student_parameters, shards);
    optimiser = std::make_unique<AdamW>(*student_parameters, *teacher_parameters, gradients->slice(),
                                        LayerwiseDecay{.9, .2, 12});
  }

  StepLosses losses() {
    LossOptions options;
    options.local_crops = kLocals;
    const auto taught = teach(teacher, targets, {batch}, kTemperature, shards);
    return student_losses(student, taught[0], batch, options);
  }

  void update() {
    gradients->add_shard();
    const auto gradient = gradients->reduce();
    const auto clipped = clip_gradients(*student_parameters, gradients->slice(), gradient, 1, kClip, ranks);
    optimiser->step(gradient, clipped.scales, {1e-4, 1e-4, .04, kMomentum});
  }

  HeadedBackbone student, teacher;
  CropBatch batch;
  TeacherTargets targets;
  OneRank ranks;
  const Shards shards{ranks, 1};
  std::unique_ptr<FlatParameters> student_parameters, teacher_parameters;
  std::unique_ptr<GradientSum> gradients;
  std::unique_ptr<AdamW> optimiser;
};

std::int64_t images() {
  return std::stoll(setting("PADDOCK_BENCH_BATCH", "8"));
}

Run& the_run() {
  static Run run(images());
  return run;
}

void count_images(benchmark::State& state) {
  state.counters["images/s"] =
      benchmark::Counter(static_cast<double>(images()), benchmark::Counter::kIsIterationInvariantRate);
}

void Step(benchmark::State& state) {
  Run& run = the_run();
  double loss = 0;
  for (auto _ : state) {
    const auto losses = run.losses();
    losses.total.backward();
    run.update();
    loss = losses.total.item<double>();
  }
  count_images(state);
  state.counters["loss"] = loss;
}
BENCHMARK(Step)->Unit(benchmark::kMillisecond)->UseRealTime()->MinWarmUpTime(1)->MinTime(30);

void TeacherBackbone(benchmark::State& state) {
  const torch::NoGradGuard no_grad;
  Run& run = the_run();
  for (auto _ : state)
    benchmark::DoNotOptimize(
        run.teacher.backbone.forward_picked({{run.batch.globals, {}}}, run.batch.patches_M));
}
BENCHMARK(TeacherBackbone)->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(5);

void StudentBackbone(benchmark::State& state) {
  Run& run = the_run();
  for (auto _ : state) {
    const auto features = run.student.backbone.forward_picked(
        {{run.batch.globals, run.batch.masks_2BN}, {run.batch.locals, {}}}, run.batch.patches_M);
    (features.cls_BD[0].sum() + features.cls_BD[1].sum() + features.patches_MD.sum()).backward();
  }
}
BENCHMARK(StudentBackbone)->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(5);

torch::Tensor head_rows(const Run& run) {
  const std::int64_t rows = 2 * images() + kLocals * images() + run.batch.patches_M.size(0);
  return torch::randn({rows, run.student.backbone.options().embed_dim});
}

void TeacherHead(benchmark::State& state) {
  const torch::NoGradGuard no_grad;
  Run& run = the_run();
  const auto rows = head_rows(run).slice(0, 0, 2 * images() + run.batch.patches_M.size(0));
  for (auto _ : state) benchmark::DoNotOptimize(run.teacher.dino_head.forward(rows));
}
BENCHMARK(TeacherHead)->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(3);

void StudentHead(benchmark::State& state) {
  Run& run = the_run();
  const auto rows = head_rows(run).requires_grad_();
  const auto outer = torch::randn({rows.size(0), 65'536});
  for (auto _ : state) run.student.dino_head.forward(rows).backward(outer);
}
BENCHMARK(StudentHead)->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(3);

void Targets(benchmark::State& state) {
  Run& run = the_run();
  const auto cls = torch::randn({2 * images(), 65'536});
  const auto patches = torch::randn({run.batch.patches_M.size(0), 65'536});
  for (auto _ : state) {
    benchmark::DoNotOptimize(run.targets.of_cls({cls}, kTemperature, run.shards));
    benchmark::DoNotOptimize(run.targets.of_patches({patches}, kTemperature, run.shards));
  }
}
BENCHMARK(Targets)->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(2);

void Update(benchmark::State& state) {
  Run& run = the_run();
  run.student_parameters->gradients().normal_();
  for (auto _ : state) run.update();
}
BENCHMARK(Update)->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(2);

}  // namespace
}  // namespace paddock::model

int main(int count, char** values) {
  paddock::keep_freed_memory();  // as paddock-run does
  benchmark::AddCustomContext("threads", std::to_string(at::get_num_threads()));
  benchmark::Initialize(&count, values);
  if (benchmark::ReportUnrecognizedArguments(count, values)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
