// jobs/evaluate/results.h – measured numbers in long form: one record a number, with all that is needed to
// read it again. Tables are pivots of the records; nothing is in a table that is not in a record. Records
// hold no times: the same inputs give the same results.json, whose hash names the report. Threads: values.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "jobs/evaluate/statistics.h"

namespace paddock::evaluate {

struct Record {
  std::string model;            // the name given in the options, or the baseline's
  std::string kind;             // model, untrained or baseline
  std::string checkpoint_hash;  // empty for baselines and untrained models
  std::int64_t step = -1;       // of the checkpoint; -1: none
  std::string split;
  std::size_t n = 0;              // pictures judged
  std::string protocol;           // knn, linear-cached, crop-retrieval, paired
  nlohmann::ordered_json params;  // what the protocol was run with
  nlohmann::ordered_json details = nlohmann::ordered_json::object();  // what came out beside the number
  std::string metric;
  double value = 0;
  std::optional<Interval> interval;  // 95 %
  std::string interval_method;
  bool higher_is_better = true;
  std::string predictions;  // file below the report with one line a picture; empty: none
};

struct ResultSet {
  std::string dataset_hash;
  std::vector<Record> records;
};

// The first record of `model` with that protocol and metric, and, where given, with params["k"] == k.
const Record* find_record(const ResultSet& results, const std::string& model, const std::string& protocol,
                          const std::string& metric, std::optional<std::int64_t> k = {});

// results.json: {"format", "version", "dataset_hash", "records": […]}. protocol_hash in each record is the
// hash of protocol and params: two numbers with the same one were measured the same way.
std::string results_json(const ResultSet& results);

// Names in the order they first appear.
std::vector<std::string> models_of(const ResultSet& results);

}  // namespace paddock::evaluate
