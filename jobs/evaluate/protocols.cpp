#include "jobs/evaluate/protocols.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "base/check.h"
#include "jobs/evaluate/linear_probe.h"
#include "jobs/value_or_throw.h"
#include "storage/disk.h"

namespace paddock::evaluate {
using nlohmann::ordered_json;

namespace {

// Models' names are file names already (jobs/spec/evaluate.cpp). Those of baselines and untrained models have spaces, for
// which a '+' stands here: no two names share a file.
std::string file_name(std::string name) {
  std::replace(name.begin(), name.end(), ' ', '+');
  return name;
}

}  // namespace

Protocols::Protocols(const spec::EvaluateOptions& options, Task task, std::filesystem::path dir, int threads)
    : options_(options), task_(std::move(task)), dir_(std::move(dir)), threads_(threads) {
  std::set<std::int64_t> clipped;
  for (const std::int64_t k : options_.neighbours)
    clipped.insert(std::min(k, static_cast<std::int64_t>(task_.train_labels.size())));
  ks_.assign(clipped.begin(), clipped.end());
}

std::vector<std::vector<Scored>> Protocols::judge(const Judged& judged) {
  PADDOCK_REQUIRE(judged.train.size() == task_.train_labels.size() &&
                  judged.test.size() == task_.test_labels.size());
  auto neighbours = nearest_rows(l2_normalised(judged.test), l2_normalised(judged.train),
                                 static_cast<std::size_t>(ks_.back()), threads_);
  judge_neighbours(judged, neighbours);
  if (options_.linear.enabled) judge_linear(judged);
  judge_retrieval(judged);
  return neighbours;
}

void Protocols::judge_neighbours(const Judged& judged, const std::vector<std::vector<Scored>>& neighbours) {
  for (const KnnResult& result :
       classify(neighbours, task_.train_labels, task_.classes.size(), ks_, options_.temperature)) {
    std::vector<std::int32_t> labels;
    std::vector<float> scores;
    for (const KnnPrediction& prediction : result.predictions) {
      labels.push_back(prediction.label);
      scores.push_back(prediction.score);
    }
    const auto k = static_cast<std::int64_t>(result.k);
    const std::vector<bool> correct = correct_of(labels);
    add_accuracy(judged, "knn", {{"k", k}, {"temperature", options_.temperature}, {"normalised", true}},
                 correct, keep(judged.name + "-knn" + std::to_string(k), labels, scores));
    knn_correct_[judged.name][k] = correct;
  }
}

void Protocols::judge_linear(const Judged& judged) {
  LinearProbeOptions probe;
  probe.learning_rates = options_.linear.learning_rates;
  probe.epochs = options_.linear.epochs;
  probe.batch = options_.linear.batch;
  probe.seed = static_cast<std::uint64_t>(options_.seed);
  const LinearProbeResult result = linear_probe(
      judged.train, task_.train_labels, static_cast<std::int64_t>(task_.classes.size()), judged.test, probe);
  add_accuracy(judged, "linear-cached",
               {{"optimiser", "SGD, momentum 0.9, cosine to 0"},
                {"epochs", probe.epochs},
                {"batch", probe.batch},
                {"learning_rates", probe.learning_rates},
                {"chosen_on", "a held-out tenth of train"},
                {"seed", options_.seed}},
               correct_of(result.predictions), keep(judged.name + "-linear-cached", result.predictions, {}),
               {{"learning_rate", result.learning_rate}, {"held_out_accuracy", result.held_out_accuracy}});
}

void Protocols::judge_retrieval(const Judged& judged) {
  if (judged.crops.size() == 0) return;
  const auto found = nearest_rows(l2_normalised(judged.crops), l2_normalised(judged.whole), 1, threads_);
  std::size_t hits = 0;
  for (std::size_t i = 0; i < found.size(); ++i) hits += found[i][0].row == i;
  Record record = record_of(judged, "crop-retrieval",
                            {{"area", "0.2-0.5"}, {"ratio", "3/4-4/3"}, {"seed", options_.seed}});
  record.n = found.size();
  record.metric = "recall_at_1";
  record.value = static_cast<double>(hits) / static_cast<double>(found.size());
  record.interval = wilson(hits, found.size());
  record.interval_method = "wilson";
  results_.records.push_back(std::move(record));
}

void Protocols::compare(const std::string& model, const std::string& against) {
  const bool has_20 = std::find(ks_.begin(), ks_.end(), 20) != ks_.end();
  const std::int64_t k = has_20 ? 20 : ks_.front();
  const std::vector<bool>& first = knn_correct_.at(model).at(k);
  const std::vector<bool>& second = knn_correct_.at(against).at(k);
  std::size_t only_first = 0;
  std::size_t only_second = 0;
  for (std::size_t i = 0; i < first.size(); ++i) {
    only_first += first[i] && !second[i];
    only_second += second[i] && !first[i];
  }
  Record record;
  record.model = model;
  record.kind = "model";
  const Record* answers = find_record(results_, model, "knn", "top1", k);
  PADDOCK_CHECK(answers != nullptr, model, k);
  record.checkpoint_hash = answers->checkpoint_hash;
  record.step = answers->step;
  record.split = "test";
  record.n = first.size();
  record.protocol = "paired";
  record.params = {{"against", against}, {"of", "knn"}};
  record.params.update(answers->params);
  record.details = {{"only_this", only_first}, {"only_other", only_second}};
  record.metric = "mcnemar_p";
  record.value = mcnemar_exact(only_first, only_second);
  record.higher_is_better = false;
  results_.records.push_back(std::move(record));
}

void Protocols::add_accuracy(const Judged& judged, const std::string& protocol, const ordered_json& params,
                             const std::vector<bool>& correct, const std::string& predictions,
                             const ordered_json& details) {
  Record record = record_of(judged, protocol, params);
  record.details = details;
  record.n = correct.size();
  record.predictions = predictions;
  const auto hits = static_cast<std::size_t>(std::count(correct.begin(), correct.end(), true));
  record.metric = "top1";
  record.value = static_cast<double>(hits) / static_cast<double>(correct.size());
  record.interval = wilson(hits, correct.size());
  record.interval_method = "wilson";
  results_.records.push_back(record);
  record.metric = "mean_per_class";
  record.value = mean_per_class(task_.test_labels, correct, task_.classes.size());
  record.interval = mean_per_class_interval(task_.test_labels, correct, task_.classes.size(),
                                            static_cast<std::size_t>(options_.bootstrap),
                                            static_cast<std::uint64_t>(options_.seed));
  record.interval_method = "stratified bootstrap, " + std::to_string(options_.bootstrap) + " resamples";
  results_.records.push_back(std::move(record));
}

std::vector<bool> Protocols::correct_of(const std::vector<std::int32_t>& predictions) const {
  std::vector<bool> correct;
  for (std::size_t i = 0; i < predictions.size(); ++i)
    correct.push_back(predictions[i] == task_.test_labels[i]);
  return correct;
}

Record Protocols::record_of(const Judged& judged, const std::string& protocol,
                            const ordered_json& params) const {
  Record record;
  record.model = judged.name;
  record.kind = judged.kind;
  record.checkpoint_hash = judged.checkpoint_hash;
  record.step = judged.step;
  record.split = "test";
  record.protocol = protocol;
  record.params = params;
  record.params["features"] = judged.params;
  return record;
}

std::string Protocols::keep(const std::string& name, const std::vector<std::int32_t>& predictions,
                            const std::vector<float>& scores) {
  std::string lines;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    ordered_json line;
    line["source"] = task_.test_sources[i];
    line["label"] = task_.classes[static_cast<std::size_t>(task_.test_labels[i])];
    line["prediction"] = task_.classes[static_cast<std::size_t>(predictions[i])];
    if (!scores.empty()) line["score"] = std::round(scores[i] * 1e4) / 1e4;
    lines += line.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n";
  }
  storage::RealDisk disk;
  jobs::value_or_throw(storage::make_dirs(disk, dir_ / "predictions"), "keeping predictions");
  const std::string file = "predictions/" + file_name(name) + ".jsonl";
  jobs::value_or_throw(storage::write_atomically(disk, dir_ / file, std::string_view(lines)),
                       "keeping predictions");
  return file;
}

}  // namespace paddock::evaluate
