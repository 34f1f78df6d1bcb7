#include "jobs/evaluate/evaluate.h"

#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <stdexcept>

#include "base/limits.h"
#include "data/sample_source.h"
#include "jobs/devices.h"
#include "jobs/evaluate/baselines.h"
#include "jobs/evaluate/curves.h"
#include "jobs/evaluate/features.h"
#include "jobs/evaluate/one_thread.h"
#include "jobs/evaluate/pictures.h"
#include "jobs/evaluate/protocols.h"
#include "jobs/evaluate/report.h"
#include "jobs/model_checkpoint.h"
#include "jobs/parallel_for.h"
#include "jobs/stop_request.h"
#include "jobs/threads.h"
#include "jobs/value_or_throw.h"
#include "storage/disk.h"
#include "storage/hash.h"

namespace paddock::evaluate {
namespace fs = std::filesystem;
using jobs::value_or_throw;
using nlohmann::json;
using nlohmann::ordered_json;

namespace {

constexpr std::size_t kNeighbourRows = 8;  // test pictures shown with their nearest train pictures
constexpr std::size_t kNeighboursShown = 6;

json read_json(const fs::path& path) {
  storage::RealDisk disk;
  const auto file =
      value_or_throw(storage::read_file(disk, path, limits::kManifestBytesMax), "reading the dataset");
  json parsed = json::parse(file.text(), nullptr, false);
  if (!parsed.is_object()) throw std::runtime_error("evaluate: " + path.string() + " is no JSON object");
  return parsed;
}

struct Splits {
  PictureSet train;
  PictureSet test;
};

// The dataset's pictures and what they are judged by.
struct Dataset {
  std::string hash;
  json about = json::object();  // of a curated dataset
  data::Splits samples;
  std::vector<std::string> classes;
  std::map<int, Splits> decoded;          // by channels, as the models need them; 3 from the beginning
  std::vector<std::uint32_t> train_rows;  // labelled
  std::vector<std::uint32_t> test_rows;
};

Splits load_splits(const spec::EvaluateOptions& options, const Dataset& dataset, int channels, int threads) {
  const EvalTransform transform{static_cast<int>(options.image_size), options.crop_ratio,
                                options.fit == "pad"};
  const auto seed = static_cast<std::uint64_t>(options.seed);
  return {load_pictures(*dataset.samples.train, dataset.classes, channels, transform, false, seed, threads),
          load_pictures(*dataset.samples.test, dataset.classes, channels, transform, true, seed, threads)};
}

// A curated dataset names its classes; of any other pictures they are the labels that train/ has.
std::vector<std::string> classes_of(const Dataset& dataset, const fs::path& dir, int threads) {
  std::vector<std::string> classes;
  if (!dataset.about.empty()) {
    const json listed = read_json(dir / "classes.json");
    for (const json& one : listed.value("classes", json::array()))
      classes.push_back(one.at("name").get<std::string>());
    return classes;
  }
  const storage::SampleSet& train = *dataset.samples.train;
  classes.resize(train.size());
  jobs::parallel_for(train.size(), threads, [&](std::size_t i) {
    classes[i] = value_or_throw(train.about(i), "reading the dataset").label;
  });
  std::ranges::sort(classes);
  const auto rest = std::ranges::unique(classes);
  classes.erase(rest.begin(), rest.end());
  if (!classes.empty() && classes.front().empty()) classes.erase(classes.begin());
  return classes;
}

Dataset load_dataset(storage::Disk& disk, const spec::EvaluateOptions& options, const fs::path& dir,
                     int threads) {
  Dataset dataset;
  const fs::path data = options.data;
  if (options.data_test.empty() && !fs::exists(data / "test"))
    throw std::invalid_argument("evaluate: " + options.data +
                                " has no test/ that could be judged: give data_test, or another data");
  data::SplitOptions splits{.data = options.data, .data_test = options.data_test, .needs_test = true};
  splits.source.index_dir = dir / "tar-index";
  dataset.samples = value_or_throw(data::open_splits(disk, splits), "opening the pictures");
  dataset.hash = storage::xxh3_hex(dataset.samples.train->hash() + " " + dataset.samples.test->hash());
  if (options.data_test.empty() && fs::exists(data / "dataset.json")) {
    dataset.about = read_json(data / "dataset.json");
    dataset.hash = dataset.about.value("hash", "");
  }
  dataset.classes = classes_of(dataset, data, threads);
  const Splits& decoded = dataset.decoded.emplace(3, load_splits(options, dataset, 3, threads)).first->second;
  dataset.train_rows = labelled(decoded.train);
  dataset.test_rows = labelled(decoded.test);
  if (dataset.classes.size() < 2 || dataset.train_rows.empty() || dataset.test_rows.empty())
    throw std::invalid_argument(
        "evaluate: " + options.data + " has " + std::to_string(dataset.classes.size()) + " classes, " +
        std::to_string(dataset.train_rows.size()) + " labelled train and " +
        std::to_string(dataset.test_rows.size()) +
        " labelled test pictures; two classes and one of each are needed: lower curate's min_class, or "
        "lay pictures in a folder a class, train/CLASS/… and test/CLASS/…");
  return dataset;
}

std::vector<const data::Image*> squares_of(const PictureSet& set, const std::vector<std::uint32_t>& rows) {
  std::vector<const data::Image*> squares;
  for (const std::uint32_t row : rows) squares.push_back(&set.pictures[row].square);
  return squares;
}

std::vector<std::uint32_t> all_rows(const PictureSet& set) {
  std::vector<std::uint32_t> rows(set.pictures.size());
  std::iota(rows.begin(), rows.end(), 0u);
  return rows;
}

FeatureTable rows_of(const FeatureTable& table, const std::vector<std::uint32_t>& rows) {
  FeatureTable out{table.dim, {}};
  for (const std::uint32_t row : rows)
    out.values.insert(out.values.end(), table.row(row).begin(), table.row(row).end());
  return out;
}

using Extract = std::function<FeatureTable(const std::vector<const data::Image*>&)>;

// All features one protocol or another needs, from one pass over train and one over test and its crops.
Judged judged_by(const Dataset& dataset, const Splits& splits, std::string name, std::string kind,
                 const Extract& extract) {
  Judged judged;
  judged.name = std::move(name);
  judged.kind = std::move(kind);
  judged.train = extract(squares_of(splits.train, dataset.train_rows));
  judged.whole = extract(squares_of(splits.test, all_rows(splits.test)));
  judged.test = rows_of(judged.whole, dataset.test_rows);
  std::vector<const data::Image*> crops;
  for (const data::Image& crop : splits.test.crops) crops.push_back(&crop);
  judged.crops = extract(crops);
  return judged;
}

class Evaluation {
 public:
  Evaluation(const spec::EvaluateOptions& options, const fs::path& dir, jobs::ReportChannel& report)
      : options_(options), dir_(dir), report_(report), threads_(jobs::threads_of_this_rank()) {}

  std::string run() {
    report_.progress({{"phase", "read the dataset"}});
    dataset_ = load_dataset(disk_, options_, dir_, threads_);
    protocols_.emplace(options_, task(), dir_, threads_);
    judge_baselines();
    for (const auto& [name, checkpoint] : options_.models) judge_checkpoint(name, checkpoint);
    // Every model is compared with the one untrained: they are judged on the same pictures.
    if (!options_.random_init_of.empty())
      for (const auto& [name, checkpoint] : options_.models) protocols_->compare(name, untrained_name());
    return write();
  }

  const ordered_json& timing() const { return timing_; }

 private:
  Task task() const {
    Task task;
    task.classes = dataset_.classes;
    const Splits& splits = dataset_.decoded.at(3);
    for (const std::uint32_t row : dataset_.train_rows)
      task.train_labels.push_back(splits.train.pictures[row].label);
    for (const std::uint32_t row : dataset_.test_rows) {
      task.test_labels.push_back(splits.test.pictures[row].label);
      task.test_sources.push_back(splits.test.pictures[row].source);
    }
    return task;
  }

  // Read again for a model of other channels than any before it.
  const Splits& splits_of(const data::Normalization& normalization) {
    const int channels = normalization.channels();
    if (!dataset_.decoded.contains(channels))
      dataset_.decoded.emplace(channels, load_splits(options_, dataset_, channels, threads_));
    return dataset_.decoded.at(channels);
  }

  ordered_json params_of(const std::string& what) const {
    ordered_json params{{"what", what}, {"image_size", options_.image_size}, {"fit", options_.fit}};
    if (options_.fit == "crop") params["crop_ratio"] = options_.crop_ratio;
    if (options_.sides != "refuse") params["sides"] = options_.sides;
    return params;
  }
  std::string untrained_name() const { return options_.random_init_of + " at step 0"; }

  void judge_baselines();
  void judge_checkpoint(const std::string& name, const std::string& checkpoint);
  void judge_backbone(const std::string& name, const std::string& kind, model::VisionTransformer& backbone,
                      const data::Normalization& normalization, const std::string& hash, std::int64_t step);
  ModelFigures figures_of(const std::string& name, const model::VisionTransformer& backbone,
                          const data::Normalization& normalization,
                          const std::vector<std::vector<Scored>>& neighbours) const;
  std::vector<NeighbourRow> neighbour_rows(const Splits& splits,
                                           const std::vector<std::vector<Scored>>& neighbours) const;
  std::string write();

  const spec::EvaluateOptions& options_;
  const fs::path dir_;
  jobs::ReportChannel& report_;
  const int threads_;
  storage::RealDisk disk_;
  Dataset dataset_;
  std::optional<Protocols> protocols_;
  std::vector<ModelFigures> figures_;
  ordered_json timing_ = ordered_json::object();
};

void Evaluation::judge_baselines() {
  report_.progress({{"phase", "baselines"}});
  const Splits& splits = dataset_.decoded.at(3);
  Judged pixels = judged_by(dataset_, splits, "raw pixels", "baseline", raw_pixels);
  pixels.params = params_of("32x32 means, mean-free");
  protocols_->judge(pixels);
  Judged colors = judged_by(dataset_, splits, "colour histogram", "baseline", color_histogram);
  colors.params = params_of("4x4x4 RGB cells");
  protocols_->judge(colors);
}

void Evaluation::judge_checkpoint(const std::string& name, const std::string& checkpoint) {
  jobs::LoadedBackbone loaded = jobs::load_backbone(checkpoint, "teacher");
  const std::int64_t step = loaded.state.value("step", std::int64_t{-1});
  if (name == options_.random_init_of) {
    // The weights this very run began with: they are a function of its seed.
    const json run_options = loaded.state.value("options", json::object());
    model::VisionTransformer untrained(loaded.network->options());
    untrained.initialize(static_cast<std::uint64_t>(run_options.value("seed", std::int64_t{0})));
    judge_backbone(untrained_name(), "untrained", untrained, loaded.normalization, "", -1);
  }
  judge_backbone(name, "model", *loaded.network, loaded.normalization, loaded.hash, step);
}

void Evaluation::judge_backbone(const std::string& name, const std::string& kind,
                                model::VisionTransformer& backbone, const data::Normalization& normalization,
                                const std::string& hash, std::int64_t step) {
  const Splits& splits = splits_of(normalization);
  backbone.set_side_policy(model::side_policy_of(options_.sides));
  const torch::ScalarType compute = jobs::choose_compute_type(options_.precision, torch::kCPU);
  backbone.set_compute_type(compute);
  const auto begun = std::chrono::steady_clock::now();
  const std::size_t total = dataset_.train_rows.size() + 2 * splits.test.pictures.size();
  std::size_t before = 0;
  const Extract extract = [&](const std::vector<const data::Image*>& pictures) {
    FeatureTable table = features_of(
        backbone, normalization, pictures, options_.features, static_cast<std::size_t>(options_.batch),
        threads_, [&](std::size_t done) {
          jobs::throw_if_stop_requested();
          report_.progress({{"phase", "features of " + name}, {"step", before + done}, {"steps", total}});
        });
    before += pictures.size();
    return table;
  };
  Judged judged = judged_by(dataset_, splits, name, kind, extract);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  judged.checkpoint_hash = hash;
  judged.step = step;
  judged.params = params_of(options_.features);
  judged.params["precision"] = compute == torch::kBFloat16 ? "bf16" : "fp32";
  report_.progress({{"phase", "protocols of " + name}});
  const auto neighbours = protocols_->judge(judged);
  timing_[name] = {
      {"feature_seconds", seconds}, {"pictures", total}, {"images_s", static_cast<double>(total) / seconds}};
  // Maps in float32 whatever the features were computed in: they are few.
  backbone.set_compute_type(torch::kFloat32);
  if (kind == "model") figures_.push_back(figures_of(name, backbone, normalization, neighbours));
}

ModelFigures Evaluation::figures_of(const std::string& name, const model::VisionTransformer& backbone,
                                    const data::Normalization& normalization,
                                    const std::vector<std::vector<Scored>>& neighbours) const {
  const Splits& splits = dataset_.decoded.at(normalization.channels());
  ModelFigures figures;
  figures.model = name;
  // The same pictures for every model: the first of the test split, whose order is a keyed permutation.
  std::vector<const data::Image*> shown;
  for (std::size_t i = 0; i < dataset_.test_rows.size() && i < static_cast<std::size_t>(options_.pictures);
       ++i) {
    const Picture& picture = splits.test.pictures[dataset_.test_rows[i]];
    figures.attention.push_back(attention_of(backbone, normalization, picture.square, picture.source));
    shown.push_back(&picture.square);
  }
  figures.components = components_of(backbone, normalization, shown);
  figures.neighbours = neighbour_rows(splits, neighbours);
  return figures;
}

std::vector<NeighbourRow> Evaluation::neighbour_rows(
    const Splits& splits, const std::vector<std::vector<Scored>>& neighbours) const {
  std::vector<NeighbourRow> rows;
  for (std::size_t q = 0; q < neighbours.size() && q < kNeighbourRows; ++q) {
    const Picture& query = splits.test.pictures[dataset_.test_rows[q]];
    NeighbourRow row{query.square, dataset_.classes[static_cast<std::size_t>(query.label)], {}};
    for (std::size_t i = 0; i < neighbours[q].size() && i < kNeighboursShown; ++i) {
      const Picture& found = splits.train.pictures[dataset_.train_rows[neighbours[q][i].row]];
      row.found.push_back({found.square, dataset_.classes[static_cast<std::size_t>(found.label)],
                           neighbours[q][i].similarity, found.label == query.label});
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string Evaluation::write() {
  report_.progress({{"phase", "write the report"}});
  ReportContent content;
  content.results = std::move(protocols_->results());
  content.results.dataset_hash = dataset_.hash;
  content.ks = protocols_->ks();
  content.features = options_.features;
  content.train_pictures = dataset_.train_rows.size();
  content.test_pictures = dataset_.test_rows.size();
  content.classes = dataset_.classes;
  for (const json& line : dataset_.about.value("funnel", json::array()))
    content.funnel.push_back(
        {line.value("stage", ""), line.value("dropped", std::size_t{0}), line.value("left", std::size_t{0})});
  for (const auto& [name, run] : options_.runs)
    for (LineChart& chart : curves_of_run(name, run)) content.curves.push_back(std::move(chart));
  content.figures = std::move(figures_);

  storage::RealDisk disk;
  const std::string results = results_json(content.results);
  const auto put = [&](const char* name, const std::string& text) {
    value_or_throw(storage::write_atomically(disk, dir_ / name, std::string_view(text)),
                   "writing the report");
  };
  put("report.html", report_html(content));
  put("report.md", report_markdown(content));
  put("results.json", results);  // last: with it the report is whole
  return storage::xxh3_hex(results);
}

}  // namespace

void run_evaluate(const spec::EvaluateOptions& options, const fs::path& dir, jobs::ReportChannel& report) {
  storage::RealDisk disk;
  value_or_throw(storage::make_dirs(disk, dir / "report"), "making the report's folder");
  const torch::NoGradGuard no_gradients;
  const OneThread one_thread;
  Evaluation evaluation(options, dir / "report", report);
  const std::string hash = evaluation.run();
  value_or_throw(storage::write_atomically(disk, dir / "timing.json",
                                           std::string_view(evaluation.timing().dump(1) + "\n")),
                 "writing the times");
  report.artifact("report", fs::absolute(dir / "report").string(), hash);
}

}  // namespace paddock::evaluate
