// jobs/curate/dataset_writer.h – the dataset folder a curation ends in: docs/dataset-format.md.
// Written beside its place and renamed: a reader finds a whole dataset or none. Threads: one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "jobs/curate/provenance.h"

namespace paddock::curate {

struct DatasetSample {
  std::string source;     // its path in the pool
  std::string label;      // empty: none
  std::string content;    // hash of the source's bytes
  std::uint32_t row = 0;  // what `png` is asked for
};

struct LeakLine {
  std::string train;
  std::string test;
  double similarity = 0;
};

struct DatasetContent {
  std::vector<DatasetSample> train;  // in the order they are written
  std::vector<DatasetSample> test;
  std::vector<std::string> classes;  // sorted
  std::vector<Fate> fates;           // of every path, in path order
  std::vector<LeakLine> leaks;
  nlohmann::ordered_json about;  // goes into dataset.json: options, thresholds, counts
  std::function<std::vector<std::byte>(std::uint32_t row)> png;
  std::uint64_t shard_bytes = 0;
};

// Called now and then with the samples written so far.
using WriteProgress = std::function<void(std::size_t written)>;

// Writes `dir` and gives the dataset's hash. Throws std::runtime_error when the disk refuses.
std::string write_dataset(const std::filesystem::path& dir, const DatasetContent& content,
                          const WriteProgress& progress);

// dataset.json of the finished dataset in `dir`; null when there is none.
nlohmann::json finished_dataset(const std::filesystem::path& dir);

}  // namespace paddock::curate
