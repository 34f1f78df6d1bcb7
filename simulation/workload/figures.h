// simulation/workload/figures.h – what a schedule of a workload was worth. Threads: pure functions.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "simulation/workload/policies.h"
#include "simulation/workload/workload.h"

namespace paddock::simulation {

// Shorter jobs count as this long in the bounded slowdown, or the shortest would decide it (Feitelson and others 1997).
inline constexpr double kSlowdownThreshold_s = 10;

struct Spread {
  double mean = 0;
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  double max = 0;
};
// Of at least one value; the p-quantile is the smallest value that p of all do not exceed.
Spread spread_of(std::vector<double> values);

struct Figures {
  double utilisation = 0;  // of all cores from the first submission to the last end, the part that was busy
  double makespan_s = 0;
  Spread wait_s;
  Spread slowdown;  // bounded: (wait + run) / max(run, threshold), at least 1
};
// The workload has a job, and the schedule is of it.
Figures figures_of(const Workload& workload, const Machines& machines, const Schedule& schedule);

nlohmann::json to_json(const Figures& figures);
// Cells of a row of a table, under figure_columns().
std::vector<std::string> to_cells(const Figures& figures);
std::vector<std::string> figure_columns();

}  // namespace paddock::simulation
