// simulation/workload/trial.h – `paddock simulate --trace` and `--synthetic`: a workload on a cluster under one policy or all,
// and what came of it. Threads: one; the figures are a pure function of the options and the file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/result.h"

namespace paddock::simulation {

struct TrialOptions {
  std::filesystem::path trace;  // SWF; "": the workload is drawn
  std::uint64_t synthetic = 0;  // so many jobs are drawn
  std::uint64_t seed = 0;
  double load = 0.8;            // of what the cluster can do, of a drawn workload
  std::filesystem::path write;  // where the workload goes as SWF; "": nowhere
  std::int64_t nodes = 0;       // 0: as the trace says
  std::int64_t cores = 0;       // of each node; 0: as the trace says, else 1
  std::string policy = "all";   // fifo, easy, paddock or all
};

struct Trial {
  nlohmann::json json;
  std::vector<std::string> notes;  // sentences about what was replayed and what was left out
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  // a policy each
};

// kInvalid, kNotFound, kUnavailable: what is wrong with the options or files.
Result<Trial> try_workload(const TrialOptions& options);

}  // namespace paddock::simulation
