// bench/loader.cpp – pictures a second of the loader, and where the time of one goes: read, decode, ten
// views.
//   loader_bench [--step_images_per_s=X] SOURCE…    each as a job's `data` (data/sample_source.h)
// Read, Decode and Views are single pictures on one core in a shuffled order, Loader/threads:N whole batches
// of 32 by N threads while the caller only waits: images/s in all and images/s/core. Nothing decoded is kept;
// files come from the page cache unless the machine has forgotten them. With X, what a training step
// consumes, the program fails when the loader on all cores delivers less than 1.5 times that from any source.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/memory.h"
#include "data/augment.h"
#include "data/decode.h"
#include "data/loader.h"
#include "data/sample_source.h"
#include "data/sampler.h"

namespace paddock::data {
namespace {

constexpr double kNeeded = 1.5;    // of what the step consumes
constexpr std::size_t kKept = 64;  // pictures held by the stages that don't read

struct Subject {
  std::string name;
  SampleSetPtr set;
  std::vector<storage::Bytes> files;  // some that decode
  std::vector<Image> pictures;
};

void count(benchmark::State& state, double pictures, int threads) {
  using benchmark::Counter;
  state.counters["images/s"] = Counter(pictures, Counter::kIsIterationInvariantRate);
  state.counters["images/s/core"] = Counter(pictures / threads, Counter::kIsIterationInvariantRate);
}

void read_one(benchmark::State& state, const Subject& subject) {
  const SampleOrder order{subject.set->size(), 1};
  std::uint64_t position = 0;
  for (auto _ : state) {
    const auto file = subject.set->read_picture(order.index(position++));
    if (!file) state.SkipWithError(file.error().message.c_str());
  }
  count(state, 1, 1);
}

void decode_one(benchmark::State& state, const Subject& subject) {
  std::size_t next = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(decode_image(subject.files[next++ % subject.files.size()].view()));
  count(state, 1, 1);
}

void view_one(benchmark::State& state, const Subject& subject) {
  const MultiCropOptions options;
  std::vector<float> out(3 * 224 * 224);
  std::uint64_t position = 0;
  for (auto _ : state) {
    const Image& picture = subject.pictures[position % subject.pictures.size()];
    for (int view = 0; view < 2 + options.num_local; ++view) {
      make_view(picture, options, 1, position, view, out.data());
      benchmark::ClobberMemory();
    }
    ++position;
  }
  count(state, 1, 1);
}

// The best of the repetitions, by source, on all cores.
std::map<std::string, double>& delivered() {
  static std::map<std::string, double> rates;
  return rates;
}

void load(benchmark::State& state, const Subject& subject, int threads) {
  LoaderOptions options;
  options.global_batch = 32;
  options.threads = threads;
  options.cache_bytes = 0;
  Loader loader(*subject.set, options, 0);
  for (int i = 0; i < 2 * options.depth; ++i) loader.next();  // those that were made before the clock ran
  const auto begin = std::chrono::steady_clock::now();
  for (auto _ : state) benchmark::DoNotOptimize(loader.next());
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  const double rate = static_cast<double>(state.iterations() * options.global_batch) / seconds.count();
  delivered()[subject.name] = std::max(delivered()[subject.name], rate);
  count(state, static_cast<double>(options.global_batch), threads);
}

std::unique_ptr<Subject> open_subject(storage::Disk& disk, const std::string& path) {
  const auto source = open_source(disk, path, {});
  if (!source) {
    std::cerr << "loader_bench: " << source.error().message << '\n';
    return nullptr;
  }
  auto subject = std::make_unique<Subject>();
  subject->name = storage::fs::path(path).filename().string();
  subject->set = source->set;
  std::cerr << subject->name << ": " << source->about << '\n';
  const SampleOrder order{subject->set->size(), 2};
  for (std::uint64_t i = 0; i < subject->set->size() && subject->files.size() < kKept; ++i) {
    auto file = subject->set->read_picture(order.index(i));
    auto picture = file ? decode_image(file->view()) : tl::unexpected(file.error());
    if (!picture) continue;
    subject->files.push_back(*std::move(file));
    subject->pictures.push_back(*std::move(picture));
  }
  if (subject->files.empty()) std::cerr << "loader_bench: no picture of " << path << " can be decoded\n";
  return subject->files.empty() ? nullptr : std::move(subject);
}

void register_all(const Subject& subject, int cores) {
  const auto add = [&](const std::string& stage, auto run) {
    return benchmark::RegisterBenchmark((stage + "/" + subject.name).c_str(), run)
        ->Unit(benchmark::kMillisecond);
  };
  add("Read", [&subject](benchmark::State& state) { read_one(state, subject); })->MinTime(1);
  add("Decode", [&subject](benchmark::State& state) { decode_one(state, subject); })->MinTime(2);
  add("Views", [&subject](benchmark::State& state) { view_one(state, subject); })->MinTime(3);
  for (const int threads : cores > 1 ? std::vector<int>{1, cores} : std::vector<int>{1})
    add("Loader/threads:" + std::to_string(threads),
        [&subject, threads](benchmark::State& state) { load(state, subject, threads); })
        ->MinTime(5)
        ->UseRealTime();
}

bool is_enough(double step) {
  bool is_enough = true;
  for (const auto& [name, rate] : delivered()) {
    std::cerr << "loader_bench: " << name << ": " << rate << " images/s, " << rate / step
              << " times what a step of " << step << " images/s consumes (needed: " << kNeeded << ")\n";
    is_enough = is_enough && rate >= kNeeded * step;
  }
  return is_enough;
}

}  // namespace
}  // namespace paddock::data

int main(int count, char** values) {
  namespace data = paddock::data;
  // Freed memory is kept, as paddock-run keeps it.
  paddock::keep_freed_memory();
  benchmark::Initialize(&count, values);
  std::vector<std::string> arguments(values + 1, values + count);
  double step = 0;
  const std::string flag = "--step_images_per_s=";
  if (!arguments.empty() && arguments.front().starts_with(flag)) {
    const std::string number = arguments.front().substr(flag.size());
    std::from_chars(number.data(), number.data() + number.size(), step);
    arguments.erase(arguments.begin());
    if (step <= 0) arguments.clear();
  }
  if (arguments.empty()) {
    std::cerr << "usage: loader_bench [--step_images_per_s=X] SOURCE...\n";
    return 2;
  }
  paddock::storage::RealDisk disk;
  std::vector<std::unique_ptr<data::Subject>> subjects;
  for (const std::string& path : arguments) {
    subjects.push_back(data::open_subject(disk, path));
    if (!subjects.back()) return 1;
    data::register_all(*subjects.back(), static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
  }
  benchmark::RunSpecifiedBenchmarks();
  return step > 0 && !data::is_enough(step) ? 1 : 0;
}
