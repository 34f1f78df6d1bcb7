#include "jobs/evaluate/evaluate.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <map>
#include <set>

#include "jobs/curate/curate.h"
#include "jobs/evaluate/curves.h"
#include "jobs/evaluate/features.h"
#include "jobs/evaluate/linear_probe.h"
#include "jobs/evaluate/report.h"
#include "jobs/model_checkpoint.h"
#include "jobs/tensors.h"
#include "storage/checkpoint.h"
#include "storage/hash.h"
#include "tests/jobs/drawn_pictures.h"

namespace paddock::evaluate {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

std::string text_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

jobs::ReportChannel silent() {
  return jobs::ReportChannel(::open("/dev/null", O_WRONLY));
}

// Two folders of 70 pictures; "warm" ones have a red frame, "cold" ones a blue one, so that there is
// something to tell.
void make_dataset(const fs::path& scratch) {
  for (int i = 0; i < 140; ++i) {
    data::Image picture = drawn_picture(static_cast<std::uint64_t>(i), 48, 48);
    for (int row = 0; row < 48; ++row)
      for (int column = 0; column < 48; ++column)
        if (std::min({row, column, 47 - row, 47 - column}) < 4) {
          const std::uint8_t frame[3] = {std::uint8_t(i % 2 == 0 ? 220 : 20), 20,
                                         std::uint8_t(i % 2 == 0 ? 20 : 220)};
          std::copy_n(frame, 3, picture.row(row) + 3 * column);
        }
    write_bytes(scratch / "pool" / (i % 2 == 0 ? "warm" : "cold") / (std::to_string(i) + ".png"),
                data::encode_png(picture));
  }
  spec::CurateOptions options;
  options.pool = (scratch / "pool").string();
  options.duplicates.threshold = 1.01;
  options.held_out = {.4, 1.01, 1.01, 100};
  options.min_class = 10;
  jobs::ReportChannel report = silent();
  curate::run_curate(options, scratch / "curated", report);
}

// A checkpoint of a run that has done no step: its weights are the initial ones of seed 5.
std::string make_checkpoint(const fs::path& run, int channels = 3) {
  model::VisionTransformerOptions options;
  options.image_height = options.image_width = 32;
  options.patch_size = 8;
  options.embed_dim = 32;
  options.depth = 2;
  options.heads = 2;
  options.registers = 1;
  options.layerscale = .1;
  options.channels = channels;
  model::VisionTransformer network(options);
  network.initialize(5);
  storage::RealDisk disk;
  EXPECT_TRUE(storage::claim_run(disk, run, Fence(1)));
  storage::CheckpointContent content;
  content.step = 7;
  content.fence = Fence(1);
  content.state = {{"step", 7},
                   {"backbone", jobs::backbone_to_json(options)},
                   {"normalization", jobs::normalization_to_json(data::usual_normalization(channels))},
                   {"options", {{"seed", 5}}}};
  std::vector<storage::TensorBytes> tensors;
  const model::NamedTensors named = model::with_prefix("teacher.backbone.", network.parameters());
  for (const auto& [name, tensor] : named) tensors.push_back(jobs::bytes_of_tensor(name, tensor));
  content.files.emplace_back("teacher.safetensors", tensors);
  const auto info = storage::write_checkpoint(disk, run, content);
  EXPECT_TRUE(info.has_value()) << info.error().message;
  return info->path.string();
}

class Evaluate : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new ScratchFolder("paddock-evaluate");
    make_dataset(scratch_->path());
    options_.data = (scratch_->path() / "curated/dataset").string();
    options_.models = {{"vit", make_checkpoint(scratch_->path() / "run")}};
    options_.random_init_of = "vit";
    options_.image_size = 32;
    options_.fit = "pad";
    options_.neighbours = {5, 20};
    options_.linear.epochs = 20;
    options_.bootstrap = 200;
    options_.pictures = 2;
    std::ofstream(scratch_->path() / "run/metrics.jsonl")
        << "{\"step\":1,\"loss\":9.5}\n{\"step\":2,\"loss\":9.25}\n{\"st";
    options_.runs = {{"pretrain", (scratch_->path() / "run").string()}};
    jobs::ReportChannel report = silent();
    run_evaluate(options_, scratch_->path() / "first", report);
    results_ = json::parse(text_of(scratch_->path() / "first/report/results.json"));
  }
  static void TearDownTestSuite() { delete scratch_; }

  static double value_of(const std::string& model, const std::string& protocol, const std::string& metric) {
    for (const json& record : results_["records"])
      if (record["model"] == model && record["protocol"] == protocol && record["metric"] == metric)
        return record["value"];
    ADD_FAILURE() << "no record of " << model << " " << protocol << " " << metric;
    return -1;
  }

  static ScratchFolder* scratch_;
  static spec::EvaluateOptions options_;
  static json results_;
};
ScratchFolder* Evaluate::scratch_ = nullptr;
spec::EvaluateOptions Evaluate::options_;
json Evaluate::results_;

TEST_F(Evaluate, JudgesBaselinesModelAndItsUntrainedSelf) {
  std::set<std::string> models;
  for (const json& record : results_["records"]) {
    models.insert(record["model"]);
    EXPECT_GE(record["value"].get<double>(), 0);
    EXPECT_LE(record["value"].get<double>(), 1);
    if (!record["ci_low"].is_null()) {
      EXPECT_LE(record["ci_low"].get<double>(), record["value"].get<double>() + 1e-9) << record;
      EXPECT_GE(record["ci_high"].get<double>(), record["value"].get<double>() - 1e-9) << record;
    }
  }
  EXPECT_EQ(models, (std::set<std::string>{"raw pixels", "colour histogram", "vit", "vit at step 0"}));
  EXPECT_GT(value_of("raw pixels", "linear-cached", "top1"), .75) << "the frame's colour is there to be read";
}

TEST_F(Evaluate, AModelThatWasNeverTrainedEqualsItsUntrainedSelf) {
  EXPECT_EQ(value_of("vit", "paired", "mcnemar_p"), 1);
  for (const char* metric : {"top1", "mean_per_class"})
    EXPECT_EQ(value_of("vit", "knn", metric), value_of("vit at step 0", "knn", metric));
}

TEST_F(Evaluate, KeepsOneAnswerForEachLabelledTestPicture) {
  const json& record = results_["records"].front();
  std::ifstream in(scratch_->path() / "first/report" / record["predictions_ref"].get<std::string>());
  std::size_t lines = 0;
  std::size_t right = 0;
  for (std::string line; std::getline(in, line); ++lines) {
    const json answer = json::parse(line);
    right += answer["label"] == answer["prediction"];
  }
  EXPECT_EQ(lines, record["n"].get<std::size_t>());
  EXPECT_NEAR(static_cast<double>(right) / static_cast<double>(lines), record["value"].get<double>(), 1e-9);
}

TEST_F(Evaluate, EveryAnswersFileIsOneModelsAndIsThere) {
  std::map<std::string, std::set<std::string>> models_of_file;
  for (const json& record : results_["records"]) {
    if (record["predictions_ref"].is_null()) continue;
    models_of_file[record["predictions_ref"]].insert(record["model"].get<std::string>());
  }
  EXPECT_EQ(models_of_file.size(), 4u * 3) << "models by k-NN with 5 and 20 and the linear probe";
  for (const auto& [file, models] : models_of_file) {
    EXPECT_EQ(models.size(), 1u) << file;
    EXPECT_TRUE(fs::exists(scratch_->path() / "first/report" / file)) << file;
  }
  EXPECT_TRUE(models_of_file.contains("predictions/vit-knn20.jsonl"));
  EXPECT_TRUE(models_of_file.contains("predictions/raw+pixels-linear-cached.jsonl"));
}

// Two numbers with one protocol_hash were measured the same way.
TEST_F(Evaluate, AnotherTemperatureOrOtherFeaturesAreAnotherProtocol) {
  const auto hash_of = [](const json& results, const std::string& protocol) {
    for (const json& record : results["records"])
      if (record["model"] == "vit" && record["protocol"] == protocol) return record["protocol_hash"];
    return json();
  };
  spec::EvaluateOptions warmer = options_, wider = options_;
  warmer.temperature = .2;
  wider.features = "cls_patchmean";
  for (spec::EvaluateOptions* options : {&warmer, &wider}) {
    options->linear.enabled = false;
    options->pictures = 0;
    const fs::path dir = scratch_->path() / ("other-" + options->features);
    jobs::ReportChannel report = silent();
    run_evaluate(*options, dir, report);
    const json other = json::parse(text_of(dir / "report/results.json"));
    for (const char* protocol : {"knn", "paired"}) {
      EXPECT_TRUE(hash_of(other, protocol).is_string());
      EXPECT_NE(hash_of(other, protocol), hash_of(results_, protocol))
          << protocol << " " << options->features;
    }
  }
}

TEST_F(Evaluate, TheSameInputsGiveTheSameReport) {
  jobs::ReportChannel report = silent();
  run_evaluate(options_, scratch_->path() / "again", report);
  for (const char* name : {"results.json", "report.md", "report.html"})
    EXPECT_EQ(text_of(scratch_->path() / "first/report" / name),
              text_of(scratch_->path() / "again/report" / name))
        << name;
}

TEST_F(Evaluate, TheReportNeedsNoOtherFileAndNoScript) {
  const std::string html = text_of(scratch_->path() / "first/report/report.html");
  for (const char* banned : {"<script", "http://", "https://", "<link", "url("})
    EXPECT_EQ(html.find(banned), std::string::npos) << banned;
  for (const char* wanted :
       {"data:image/png;base64,", "<polyline", "register 1", "near_duplicate", "vit at step 0"})
    EXPECT_NE(html.find(wanted), std::string::npos) << wanted;
}

TEST_F(Evaluate, AnImageSizeThatPatchesDoNotDivideIsRefused) {
  spec::EvaluateOptions options = options_;
  options.image_size = 36;
  jobs::ReportChannel report = silent();
  EXPECT_THROW(run_evaluate(options, scratch_->path() / "refused", report), std::invalid_argument);
  for (const char* sides : {"resize", "pad"}) {
    options.sides = sides;
    run_evaluate(options, scratch_->path() / sides, report);
    const json results = json::parse(text_of(scratch_->path() / sides / "report/results.json"));
    std::set<std::string> seen;
    for (const json& record : results["records"])
      if (record["model"] == "vit" && record["protocol"] == "knn")
        seen.insert(record["params"]["features"]["sides"]);
    EXPECT_EQ(seen, std::set<std::string>{sides});
  }
}

// Models of every number of channels beside each other, each seeing pictures as it was trained to.
TEST_F(Evaluate, ModelsOfOtherChannelsAreJudgedInTheSameJob) {
  spec::EvaluateOptions options = options_;
  for (const int channels : {1, 4})
    options.models.emplace("channels-" + std::to_string(channels),
                           make_checkpoint(scratch_->path() / ("run-" + std::to_string(channels)), channels));
  options.models.emplace("same", make_checkpoint(scratch_->path() / "run-3", 3));
  jobs::ReportChannel report = silent();
  run_evaluate(options, scratch_->path() / "channels", report);
  const json results = json::parse(text_of(scratch_->path() / "channels/report/results.json"));
  std::set<std::string> models;
  for (const json& record : results["records"]) {
    models.insert(record["model"]);
    const bool is_first =
        record["model"] == "vit" && record["protocol"] == "knn" && record["metric"] == "top1";
    if (is_first) {
      EXPECT_EQ(record["value"].get<double>(), value_of("vit", "knn", "top1"));
    }
  }
  EXPECT_EQ(models.size(), 2 + 1 + 4) << "baselines, the untrained one, and four models";
}

TEST(LinearProbe, SeparatesWhatALineSeparatesAndChoosesItsRateOnTrain) {
  FeatureTable train{12, {}};
  FeatureTable test{12, {}};
  std::vector<std::int32_t> labels;
  std::vector<std::int32_t> expected;
  for (std::uint64_t i = 0; i < 400; ++i) {
    Draws draws(4, i, Purpose::kInit);
    FeatureTable& table = i < 300 ? train : test;
    const auto label = static_cast<std::int32_t>(i % 3);
    (i < 300 ? labels : expected).push_back(label);
    for (std::int32_t d = 0; d < 12; ++d)
      table.values.push_back(static_cast<float>(draws.normal() + (d == label ? 4 : 0)));
  }
  const LinearProbeResult result = linear_probe(train, labels, 3, test, {});
  std::size_t right = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) right += result.predictions[i] == expected[i];
  EXPECT_GE(right, 95u);
  EXPECT_GT(result.held_out_accuracy, .9);
  EXPECT_EQ(linear_probe(train, labels, 3, test, {}).predictions, result.predictions);
  EXPECT_THROW(linear_probe({12, std::vector<float>(24)}, {0, 1}, 2, test, {}), std::invalid_argument);
}

TEST(Curves, ATornLastLineIsPassedOverAndAnotherAttemptIsMarked) {
  const ScratchFolder scratch("paddock-curves");
  std::ofstream(scratch.path() / "metrics.jsonl")
      << "{\"step\":1,\"loss\":3}\n{\"step\":2,\"loss\":2}\n{\"step\":3,\"lo";
  std::ofstream(scratch.path() / "timing.jsonl") << "{\"step\":1,\"fence\":1}\n{\"step\":2,\"fence\":2}\n";
  const std::vector<LineChart> charts = curves_of_run("pretrain", scratch.path());
  ASSERT_EQ(charts.size(), 1u);
  EXPECT_EQ(charts[0].series[0].points.size(), 2u);
  EXPECT_EQ(charts[0].marks, (std::vector<double>{2}));
}

TEST(Curves, OfSeveralStudentsAreOneLineEach) {
  const ScratchFolder scratch("paddock-curves-students");
  std::ofstream(scratch.path() / "metrics.jsonl")
      << R"({"step":1,"loss":3,"students":{"a":{"loss":2,"grad_norm":1},"b":{"loss":4,"grad_norm":null}}})"
      << "\n";
  std::ofstream(scratch.path() / "heldout.jsonl")
      << R"({"step":1,"loss":3,"students":{"a":{"loss":2.5},"b":{"loss":3.5}}})"
      << "\n";
  const std::vector<LineChart> charts = curves_of_run("distill", scratch.path());
  ASSERT_EQ(charts.size(), 2u);
  ASSERT_EQ(charts[0].series.size(), 4u);
  EXPECT_EQ(charts[0].series[2].name, "b, training");
  EXPECT_EQ(charts[0].series[3].points.front().second, 3.5);
  ASSERT_EQ(charts[1].series.size(), 1u);
}

}  // namespace
}  // namespace paddock::evaluate
