#include "simulation/workload/lublin.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/limits.h"
#include "base/random.h"

namespace paddock::simulation {
namespace {

constexpr double kSerial = 0.244;
constexpr double kPowerOfTwo = 0.576;
constexpr double kLog2SizeLow = 0.8;
constexpr double kLog2SizeBend = 2.5;  // below the largest
constexpr double kBelowBend = 0.86;
constexpr double kLogRunMost = 12;
constexpr double kLogPauseMost = 13;
constexpr std::size_t kHalfHours = 48;
constexpr std::size_t kDayBegins = 11;  // in half hours
constexpr double kHalfHour_s = 1'800;
constexpr int kUsers = 64;

// Marsaglia and Tsang (2000); shape at least 1.
double gamma(Draws& draws, double shape, double scale) {
  const double d = shape - 1.0 / 3;
  const double c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = draws.normal();
    const double v = std::pow(1 + c * x, 3);
    if (v <= 0) continue;
    const double u = 1 - draws.uniform();
    if (std::log(u) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v * scale;
  }
}

std::int64_t draw_size(Draws& draws, std::int64_t largest) {
  const double kind = draws.uniform();
  if (kind < kSerial || largest == 1) return 1;
  const double high = std::log2(static_cast<double>(largest));
  const double bend = std::max(kLog2SizeLow, high - kLog2SizeBend);
  double size = draws.uniform() < kBelowBend ? draws.uniform(std::min(kLog2SizeLow, high), bend)
                                             : draws.uniform(bend, high);
  if (kind < kSerial + kPowerOfTwo) size = std::round(size);
  return std::clamp<std::int64_t>(std::llround(std::exp2(size)), 1, largest);
}

std::int64_t draw_run(Draws& draws, std::int64_t size) {
  const double is_short = std::clamp(0.78 - 0.0054 * static_cast<double>(size), 0.0, 1.0);
  double log_run = kLogRunMost + 1;
  while (log_run > kLogRunMost)
    log_run = draws.uniform() < is_short ? gamma(draws, 4.2, 0.94) : gamma(draws, 312, 0.03);
  return std::max<std::int64_t>(1, std::llround(std::exp(log_run)));
}

// Its mean is 1, so that a day has as many jobs with it as without.
std::array<double, kHalfHours> weights_of_day() {
  std::array<double, kHalfHours> weights{};
  double sum = 0;
  for (std::size_t i = 0; i < kHalfHours; ++i) {
    const double x = static_cast<double>(i) + 0.5;
    const double density = std::exp((8.1737 - 1) * std::log(x) - x / 3.9631);
    weights[(i + kDayBegins) % kHalfHours] = density;
    sum += density;
  }
  // Nobody works at an hour of weight 0, but then a pause would never end.
  for (double& weight : weights) weight = std::max(weight * kHalfHours / sum, 0.01);
  return weights;
}

// The time at which so much of the day's work has been done, from `at` on.
double after(double at, double pause, const std::array<double, kHalfHours>& weights) {
  while (true) {
    const double bucket = std::floor(at / kHalfHour_s);
    const double weight = weights[static_cast<std::size_t>(bucket) % kHalfHours];
    const double left = (bucket + 1) * kHalfHour_s - at;
    if (pause <= left * weight) return at + pause / weight;
    pause -= left * weight;
    at = (bucket + 1) * kHalfHour_s;
  }
}

std::int64_t draw_user(Draws& draws) {
  static const std::array<double, kUsers> kUpTo = [] {
    std::array<double, kUsers> up_to{};
    double sum = 0;
    for (int i = 0; i < kUsers; ++i) up_to[static_cast<std::size_t>(i)] = sum += 1.0 / (i + 1);
    for (double& each : up_to) each /= sum;
    return up_to;
  }();
  const double drawn = draws.uniform();
  return std::min<std::int64_t>(kUsers, std::ranges::upper_bound(kUpTo, drawn) - kUpTo.begin() + 1);
}

}  // namespace

Workload draw_lublin(std::uint64_t jobs, std::uint64_t seed, const Machines& machines, double load) {
  Workload workload;
  Draws draws(seed, 0, Purpose::kSimulation, 1);
  const std::int64_t largest =
      std::min(machines.nodes, machines.cores * static_cast<std::int64_t>(limits::kRanksPerAttemptMax));
  std::vector<double> pauses;
  double work = 0;
  double sum = 0;
  for (std::uint64_t i = 0; i < jobs; ++i) {
    TraceJob job;
    job.number = static_cast<std::int64_t>(i) + 1;
    job.processors = draw_size(draws, largest);
    job.run_s = draw_run(draws, job.processors);
    const double asked = static_cast<double>(job.run_s) * draws.uniform(1, 5);
    job.estimate_s = std::max(job.run_s, static_cast<std::int64_t>(std::ceil(asked / 60)) * 60);
    job.user = draw_user(draws);
    work += static_cast<double>(job.run_s) * static_cast<double>(job.processors);
    pauses.push_back(std::exp(std::min(kLogPauseMost, gamma(draws, 10.23, 0.4871))));
    sum += pauses.back();
    workload.jobs.push_back(job);
  }
  const double time = work / (load * static_cast<double>(machines.nodes * machines.cores));
  const auto weights = weights_of_day();
  double at = 0;
  for (std::size_t i = 0; i < workload.jobs.size(); ++i) {
    at = after(at, pauses[i] * time / sum, weights);
    workload.jobs[i].submit_s = std::llround(at);
  }
  workload.max_nodes = machines.nodes;
  workload.max_processors = machines.nodes * machines.cores;
  return workload;
}

}  // namespace paddock::simulation
