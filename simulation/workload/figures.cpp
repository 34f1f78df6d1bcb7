#include "simulation/workload/figures.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace paddock::simulation {
namespace {

std::string shown(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

nlohmann::json to_json(const Spread& spread) {
  return {{"mean", spread.mean},
          {"p50", spread.p50},
          {"p90", spread.p90},
          {"p99", spread.p99},
          {"max", spread.max}};
}

}  // namespace

Spread spread_of(std::vector<double> values) {
  std::ranges::sort(values);
  const auto size = static_cast<double>(values.size());
  const auto at = [&](double part) {
    return values[static_cast<std::size_t>(std::max(1.0, std::ceil(part * size))) - 1];
  };
  return {std::accumulate(values.begin(), values.end(), 0.0) / size, at(0.5), at(0.9), at(0.99),
          values.back()};
}

Figures figures_of(const Workload& workload, const Machines& machines, const Schedule& schedule) {
  std::vector<double> waits;
  std::vector<double> slowdowns;
  double busy = 0;
  std::int64_t last_s = 0;
  for (std::size_t i = 0; i < workload.jobs.size(); ++i) {
    const TraceJob& job = workload.jobs[i];
    const Gang gang = gang_of(job, machines);
    const auto run = static_cast<double>(job.run_s);
    const auto wait = static_cast<double>(schedule.starts_s[i] - job.submit_s);
    waits.push_back(wait);
    slowdowns.push_back(std::max(1.0, (wait + run) / std::max(run, kSlowdownThreshold_s)));
    busy += run * static_cast<double>(gang.nodes * gang.cores);
    last_s = std::max(last_s, schedule.starts_s[i] + job.run_s);
  }
  Figures figures;
  figures.makespan_s = static_cast<double>(last_s - workload.jobs.front().submit_s);
  figures.utilisation = busy / (figures.makespan_s * static_cast<double>(machines.nodes * machines.cores));
  figures.wait_s = spread_of(std::move(waits));
  figures.slowdown = spread_of(std::move(slowdowns));
  return figures;
}

nlohmann::json to_json(const Figures& figures) {
  return {{"utilisation", figures.utilisation},
          {"makespan_s", figures.makespan_s},
          {"wait_s", to_json(figures.wait_s)},
          {"bounded_slowdown", to_json(figures.slowdown)}};
}

std::vector<std::string> to_cells(const Figures& figures) {
  const Spread& wait = figures.wait_s;
  const Spread& slowdown = figures.slowdown;
  return {shown(100 * figures.utilisation, 1) + " %",
          shown(wait.mean, 1),
          shown(wait.p50, 0),
          shown(wait.p90, 0),
          shown(wait.p99, 0),
          shown(wait.max, 0),
          shown(slowdown.mean, 2),
          shown(slowdown.p50, 2),
          shown(slowdown.p99, 2),
          shown(slowdown.max, 1)};
}

std::vector<std::string> figure_columns() {
  return {"utilised", "wait mean s", "p50", "p90", "p99", "max", "slowdown mean", "p50", "p99", "max"};
}

}  // namespace paddock::simulation
