// bench/views.cpp – a JPEG to its ten training views, decoding included, and the parts: pictures a second on one core.
//   views_bench FOLDER        every .jpg / .JPEG below it, from memory. Peer: peers/views.py.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "data/augment.h"
#include "data/decode.h"

namespace paddock::data {
namespace {

namespace fs = std::filesystem;
using File = std::vector<std::byte>;

std::vector<File>& files() {
  static std::vector<File> files;
  return files;
}

bool read_files(const char* folder) {
  std::error_code error;
  std::vector<fs::path> paths;
  for (fs::recursive_directory_iterator at(folder, error); !error && at != fs::recursive_directory_iterator();
       at.increment(error)) {
    std::string end = at->path().extension().string();
    std::transform(end.begin(), end.end(), end.begin(), [](unsigned char c) { return std::tolower(c); });
    if (end == ".jpg" || end == ".jpeg") paths.push_back(at->path());
  }
  std::sort(paths.begin(), paths.end());
  for (const fs::path& path : paths) {
    std::ifstream in(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    if (probe_image({bytes, text.size()})) files().emplace_back(bytes, bytes + text.size());
  }
  if (files().empty()) std::cerr << "views_bench: no JPEG below " << folder << '\n';
  return !files().empty();
}

void count_pictures(benchmark::State& state) {
  state.counters["images/s"] = benchmark::Counter(1, benchmark::Counter::kIsIterationInvariantRate);
}

void Decode(benchmark::State& state) {
  std::size_t next = 0;
  for (auto _ : state) benchmark::DoNotOptimize(decode_image(files()[next++ % files().size()]));
  count_pictures(state);
}

void make_views(const Image& picture, const MultiCropOptions& options, std::uint64_t position,
                std::vector<float>& out) {
  for (int view = 0; view < 2 + options.num_local; ++view) {
    make_view(picture, options, 1, position, view, out.data());
    benchmark::ClobberMemory();
  }
}

// What the geometry alone costs: no colours, no blur.
MultiCropOptions geometry_alone() {
  MultiCropOptions options;
  options.jitter_probability = options.grayscale_probability = options.solarize_probability = 0;
  options.blur_probability_global_1 = options.blur_probability_global_2 = options.blur_probability_local = 0;
  return options;
}

void TenViews(benchmark::State& state, const MultiCropOptions& options) {
  std::vector<float> out(3 * 224 * 224);
  std::uint64_t position = 0;
  for (auto _ : state) {
    const auto picture = decode_image(files()[position % files().size()]);
    if (picture) make_views(*picture, options, position, out);
    ++position;
  }
  count_pictures(state);
}

BENCHMARK(Decode)->Unit(benchmark::kMillisecond)->MinTime(2);
BENCHMARK_CAPTURE(TenViews, geometry, geometry_alone())->Unit(benchmark::kMillisecond)->MinTime(4);
BENCHMARK_CAPTURE(TenViews, whole, MultiCropOptions())->Unit(benchmark::kMillisecond)->MinTime(8);

}  // namespace
}  // namespace paddock::data

int main(int count, char** values) {
  benchmark::Initialize(&count, values);
  if (count != 2) {
    std::cerr << "usage: views_bench FOLDER_OF_JPEGS\n";
    return 2;
  }
  if (!paddock::data::read_files(values[1])) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
