// jobs/evaluate/protocols.h – from features to records: k-NN, linear probe, retrieval of the own picture,
// paired comparison. Each adds its records to the results and, where it judges picture by picture, keeps the
// answers. Threads: one caller.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "jobs/evaluate/feature_table.h"
#include "jobs/evaluate/nearest_neighbours.h"
#include "jobs/evaluate/results.h"
#include "jobs/spec/evaluate.h"

namespace paddock::evaluate {

// What is judged: labelled pictures, train as the bank.
struct Task {
  std::vector<std::string> classes;
  std::vector<std::int32_t> train_labels;
  std::vector<std::int32_t> test_labels;
  std::vector<std::string> test_sources;
};

// One model's or baseline's features. Rows as in Task for train and test; `whole` and `crops` are all
// pictures of the test split, labelled or not, and a crop of each.
struct Judged {
  std::string name;
  std::string kind;
  std::string checkpoint_hash;
  std::int64_t step = -1;
  nlohmann::ordered_json params;  // of the features: what, image size, crop ratio, precision
  FeatureTable train;
  FeatureTable test;
  FeatureTable whole;
  FeatureTable crops;
};

class Protocols {
 public:
  // Predictions go to `dir`/predictions/NAME-knnK.jsonl and NAME-linear-cached.jsonl, spaces in names as '+'.
  Protocols(const spec::EvaluateOptions& options, Task task, std::filesystem::path dir, int threads);

  // k-NN, linear probe and retrieval of one set of features. Gives the neighbours of each test picture in
  // train.
  std::vector<std::vector<Scored>> judge(const Judged& judged);
  // Exact McNemar of k-NN answers on the same pictures; both were judged.
  void compare(const std::string& model, const std::string& against);

  ResultSet& results() { return results_; }
  const std::vector<std::int64_t>& ks() const { return ks_; }

 private:
  void judge_neighbours(const Judged& judged, const std::vector<std::vector<Scored>>& neighbours);
  void judge_linear(const Judged& judged);
  void judge_retrieval(const Judged& judged);
  void add_accuracy(const Judged& judged, const std::string& protocol, const nlohmann::ordered_json& params,
                    const std::vector<bool>& correct, const std::string& predictions,
                    const nlohmann::ordered_json& details = nlohmann::ordered_json::object());
  std::vector<bool> correct_of(const std::vector<std::int32_t>& predictions) const;
  Record record_of(const Judged& judged, const std::string& protocol,
                   const nlohmann::ordered_json& params) const;
  std::string keep(const std::string& name, const std::vector<std::int32_t>& predictions,
                   const std::vector<float>& scores);

  const spec::EvaluateOptions& options_;
  const Task task_;
  const std::filesystem::path dir_;
  const int threads_;
  std::vector<std::int64_t> ks_;  // clipped to the bank
  ResultSet results_;
  std::map<std::string, std::map<std::int64_t, std::vector<bool>>> knn_correct_;  // model → k → picture
};

}  // namespace paddock::evaluate
