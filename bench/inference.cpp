// bench/inference.cpp – class and patch features of 224 px pictures, batch 32: images a second. Peer: peers/inference.py.
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <torch/types.h>

#include <string>

#include "base/memory.h"
#include "model/vision_transformer.h"

namespace paddock::model {
namespace {

constexpr std::int64_t kBatch = 32;

void Features(benchmark::State& state, std::int64_t width, std::int64_t heads, torch::ScalarType type) {
  VisionTransformerOptions options;
  options.image_height = options.image_width = 518;  // as the released models: positions are resized
  options.embed_dim = width;
  options.heads = heads;
  VisionTransformer network(options);
  network.initialize(1);
  network.set_compute_type(type);
  const auto pictures = torch::randn({kBatch, 3, 224, 224});
  const torch::InferenceMode inference;
  for (auto _ : state) benchmark::DoNotOptimize(network.forward_features(pictures));
  state.counters["images/s"] = benchmark::Counter(kBatch, benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK_CAPTURE(Features, small_fp32, 384, 6, torch::kFloat32)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->MinWarmUpTime(1)
    ->MinTime(8);
BENCHMARK_CAPTURE(Features, small_bf16, 384, 6, torch::kBFloat16)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->MinWarmUpTime(1)
    ->MinTime(8);
BENCHMARK_CAPTURE(Features, base_fp32, 768, 12, torch::kFloat32)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->MinWarmUpTime(1)
    ->MinTime(8);
BENCHMARK_CAPTURE(Features, base_bf16, 768, 12, torch::kBFloat16)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->MinWarmUpTime(1)
    ->MinTime(8);

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
