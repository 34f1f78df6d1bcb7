#include "jobs/evaluate/results.h"

#include <algorithm>
#include <cmath>

#include "storage/hash.h"

namespace paddock::evaluate {
using nlohmann::ordered_json;

namespace {

// Raised whenever a protocol is measured otherwise or params say more. 2: `paired` has all that the answers compared
// depend on.
constexpr int kProtocolVersion = 2;

double rounded(double value) {
  return std::round(value * 1e9) / 1e9;
}

ordered_json to_json(const Record& record, const std::string& dataset_hash) {
  ordered_json json;
  json["model"] = record.model;
  json["kind"] = record.kind;
  json["checkpoint_hash"] =
      record.checkpoint_hash.empty() ? ordered_json() : ordered_json(record.checkpoint_hash);
  json["step"] = record.step < 0 ? ordered_json() : ordered_json(record.step);
  json["dataset_hash"] = dataset_hash;
  json["split"] = record.split;
  json["n"] = record.n;
  json["protocol"] = record.protocol;
  json["protocol_version"] = kProtocolVersion;
  json["protocol_hash"] =
      storage::xxh3_hex(record.protocol + " " + std::to_string(kProtocolVersion) + " " + record.params.dump())
          .substr(0, 12);
  json["params"] = record.params;
  if (!record.details.empty()) json["details"] = record.details;
  json["metric"] = record.metric;
  json["value"] = rounded(record.value);
  json["ci_low"] = record.interval ? ordered_json(rounded(record.interval->low)) : ordered_json();
  json["ci_high"] = record.interval ? ordered_json(rounded(record.interval->high)) : ordered_json();
  json["ci_method"] = record.interval_method.empty() ? ordered_json() : ordered_json(record.interval_method);
  json["higher_is_better"] = record.higher_is_better;
  json["predictions_ref"] = record.predictions.empty() ? ordered_json() : ordered_json(record.predictions);
  return json;
}

}  // namespace

const Record* find_record(const ResultSet& results, const std::string& model, const std::string& protocol,
                          const std::string& metric, std::optional<std::int64_t> k) {
  for (const Record& record : results.records) {
    if (record.model != model || record.protocol != protocol || record.metric != metric) continue;
    if (!k || record.params.value("k", std::int64_t{-1}) == *k) return &record;
  }
  return nullptr;
}

std::string results_json(const ResultSet& results) {
  ordered_json json;
  json["format"] = "paddock-results";
  json["version"] = 1;
  json["dataset_hash"] = results.dataset_hash;
  json["records"] = ordered_json::array();
  for (const Record& record : results.records)
    json["records"].push_back(to_json(record, results.dataset_hash));
  return json.dump(1) + "\n";
}

std::vector<std::string> models_of(const ResultSet& results) {
  std::vector<std::string> names;
  for (const Record& record : results.records)
    if (std::find(names.begin(), names.end(), record.model) == names.end()) names.push_back(record.model);
  return names;
}

}  // namespace paddock::evaluate
