// tests/jobs/outcome.h – what a run leaves behind: all that is promised to be the same bits however often it was killed.
#pragma once

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "storage/checkpoint.h"
#include "tiny_run.h"

namespace paddock::jobs {

inline storage::Checkpoint newest_checkpoint(const fs::path& dir) {
  storage::RealDisk disk;
  return value_or_throw(storage::load_newest_checkpoint(disk, dir, [](const fs::path&, const Error&) {}),
                        "reading the newest checkpoint");
}

inline std::string bytes_of(const std::vector<storage::TensorBytes>& tensors) {
  std::string all;
  for (const auto& tensor : tensors) all += tensor.name + std::string(storage::text_of(tensor.bytes));
  return all;
}

// The newest checkpoint's step and tensors, and the logs without times.
inline std::string outcome(const fs::path& dir) {
  const auto checkpoint = newest_checkpoint(dir);
  std::string all = std::to_string(checkpoint.info().step) + bytes_of(checkpoint.tensors());
  for (const char* log : {"metrics.jsonl", "heldout.jsonl", "health.jsonl", "knn.jsonl"})
    all += text_of_file(dir / log);
  return all;
}

inline std::vector<nlohmann::json> lines_of(const fs::path& path) {
  std::istringstream in(text_of_file(path));
  std::vector<nlohmann::json> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

}  // namespace paddock::jobs
