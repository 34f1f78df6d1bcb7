// Pictures of one and of four channels through a run, its checkpoint, and whatever looks at that afterwards.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/decode.h"
#include "jobs/curate/model_embedding.h"
#include "jobs/distill.h"
#include "jobs/evaluate/features.h"
#include "jobs/evaluate/pictures.h"
#include "jobs/model_checkpoint.h"
#include "jobs/pretrain.h"
#include "jobs/training_batches.h"
#include "storage/checkpoint.h"
#include "tests/jobs/drawn_pictures.h"
#include "tiny_run.h"

namespace paddock::jobs {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// Colours with an opacity of their own.
data::Image picture_of(int number) {
  data::Image image = drawn_picture(static_cast<std::uint64_t>(number), 40, 36);
  image.alpha.resize(image.rgb.size() / 3);
  for (std::size_t i = 0; i < image.alpha.size(); ++i)
    image.alpha[i] = static_cast<std::uint8_t>((i * 7 + static_cast<std::size_t>(number) * 31) & 0xFF);
  return image;
}

fs::path write_pictures(const fs::path& dir) {
  storage::RealDisk disk;
  for (const char* split : {"train", "test"}) {
    auto writer = value_or_throw(storage::ShardWriter::open(disk, dir / split), "writing");
    for (int i = 0; i < 12; ++i) {
      const auto png = data::encode_png(picture_of(i));
      const std::string about = "{}";
      value_or_throw(
          writer.add("picture-" + std::to_string(i), {{"png", png}, {"json", storage::bytes_of(about)}}),
          "writing");
    }
    value_or_throw(writer.finish(), "writing");
  }
  return dir;
}

// The tiny run with these additions to its backbone, in as few steps as make a checkpoint.
json options_of(const fs::path& data, const json& backbone) {
  json options = tiny_options(data);
  options["backbone"].update(backbone);
  options["schedule"]["steps"] = 2;
  options["schedule"]["warmup_steps"] = 1;
  return options;
}

template <typename Table>
std::string problems_of(const Table& table, const json& options) {
  const auto parsed = table.parse(options);
  std::string all;
  if (parsed) return all;
  for (const auto& problem : parsed.error()) all += problem.path + " " + problem.message + "\n";
  return all;
}

TrainingPlan plan_of(const json& options) {
  const auto parsed = spec::pretrain_table().parse(options);
  if (!parsed) throw std::invalid_argument(problems_of(spec::pretrain_table(), options));
  return pretrain_plan(*parsed);
}

class Channels : public testing::Test {
 protected:
  std::string trained(const std::string& name, const json& backbone) {
    const fs::path dir = folder_.path() / name;
    run(plan_of(options_of(data_, backbone)), dir);
    return (dir / "checkpoints" / "step-0000000002").string();
  }
  void run(const TrainingPlan& plan, const fs::path& dir) {
    model::OneRank ranks;
    ReportChannel report(-1, true);
    EXPECT_EQ(train(plan, dir, {}, ranks, report, {}), TrainingEnd::kFinished);
  }

  TemporaryFolder folder_;
  const fs::path data_ = write_pictures(folder_.path() / "dataset");
};

TEST_F(Channels, ARunOfOneOrFourIsRecordedAndLoadedWithItsNormalisation) {
  const std::vector<std::pair<json, data::Normalization>> cases{
      {{{"channels", 1}}, data::usual_normalization(1)},
      {{{"channels", 4}}, data::usual_normalization(4)},
      {json::object(), data::usual_normalization(3)},
      {{{"channels", 1}, {"pixel_mean", {.25}}, {"pixel_std", {.125}}}, {{.25}, {.125}}},
      {{{"channels", 4}, {"pixel_mean", {.1, .2, .3, .4}}, {"pixel_std", {.5, .6, .7, .8}}},
       {{.1, .2, .3, .4}, {.5, .6, .7, .8}}}};
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const auto& [backbone, wanted] = cases[i];
    const auto loaded = load_backbone(trained("run-" + std::to_string(i), backbone));
    EXPECT_EQ(loaded.network->options().channels, wanted.channels());
    EXPECT_EQ(loaded.normalization, wanted) << backbone;
    EXPECT_EQ(loaded.state.at("normalization"), (json{{"mean", wanted.mean}, {"std", wanted.std}}));
  }
}

// What reaches the network is what data/ makes of the pictures with that normalisation.
TEST_F(Channels, BatchesAreNormalisedAsTheSpecSays) {
  const auto plan =
      plan_of(options_of(data_, {{"channels", 1}, {"pixel_mean", {.25}}, {"pixel_std", {.125}}}));
  const auto loader = loader_options(plan, {0, 1});
  EXPECT_EQ(loader.views.normalization, (data::Normalization{{.25}, {.125}}));
  storage::RealDisk disk;
  const auto set = value_or_throw(storage::ShardSet::open(disk, data_ / "train"), "opening");
  data::Loader made(set, loader, 0);
  const auto batch = to_tensors(made.next(), plan, torch::kCPU);
  EXPECT_EQ(batch.crops.globals.size(1), 1);
  EXPECT_EQ(batch.crops.locals.size(1), 1);
  EXPECT_LE(batch.crops.globals.max().item<float>(), (1 - .25f) / .125f);
  EXPECT_GT(batch.crops.globals.max().item<float>(), 4)
      << "white pictures, brighter than any usual normalisation";
}

TEST_F(Channels, AnotherNormalisationIsAnotherRun) {
  const auto dir = folder_.path() / "run";
  run(plan_of(options_of(data_, {{"channels", 1}})), dir);
  auto other = options_of(data_, {{"channels", 1}, {"pixel_mean", {.3}}, {"pixel_std", {.2}}});
  other["schedule"]["steps"] = 3;
  model::OneRank ranks;
  ReportChannel report(-1, true);
  EXPECT_THROW(train(plan_of(other), dir, {}, ranks, report, {}), std::invalid_argument);
}

TEST_F(Channels, SpecsOfOtherCountsAndWrongLengthsAreRefused) {
  const auto refused = [&](const json& backbone) {
    return problems_of(spec::pretrain_table(), options_of(data_, backbone));
  };
  EXPECT_THAT(refused({{"channels", 2}}),
              HasSubstr("backbone.channels is 2, must be 1 (luma), 3 (RGB) or 4"));
  EXPECT_THAT(refused({{"channels", 5}}), HasSubstr("backbone.channels is 5"));
  EXPECT_THAT(refused({{"channels", 0}}), HasSubstr("backbone.channels is 0"));
  EXPECT_THAT(refused({{"channels", 1}, {"pixel_mean", {.1, .2, .3}}, {"pixel_std", {.2}}}),
              HasSubstr("backbone.pixel_mean has 3 numbers, must have one a channel (1)"));
  EXPECT_THAT(refused({{"pixel_mean", {.1, .2, .3}}, {"pixel_std", {.1, .2}}}),
              HasSubstr("backbone.pixel_std has 2 numbers, must have one a channel (3)"));
  EXPECT_THAT(refused({{"pixel_mean", {.1, .2, .3}}}), HasSubstr("backbone.pixel_std has 0 numbers"));
  EXPECT_THAT(refused({{"pixel_mean", {.1, .2, 3}}, {"pixel_std", {1, 1, 1}}}),
              HasSubstr("backbone.pixel_mean"));
  EXPECT_THAT(refused({{"pixel_mean", {.1, .2, .3}}, {"pixel_std", {1, 0, 1}}}),
              HasSubstr("backbone.pixel_std"));
  EXPECT_EQ(refused({{"channels", 4}, {"pixel_mean", {0, 0, 0, 0}}, {"pixel_std", {1, 1, 1, 1}}}), "");
}

TEST_F(Channels, AStudentSeesWhatItsTeacherSees) {
  json options = options_of(data_, json::object());
  options["teacher"] = trained(
      "teacher", {{"channels", 4}, {"pixel_mean", {.1, .2, .3, .4}}, {"pixel_std", {.5, .6, .7, .8}}});
  options["student"] = options["backbone"];
  options["student"]["drop_path"] = 0;
  for (const char* key : {"backbone", "heads"}) options.erase(key);
  const auto refusal = [&](const json& student) {
    auto changed = options;
    changed["student"].update(student);
    const auto parsed = spec::distill_table().parse(changed);
    if (!parsed) return problems_of(spec::distill_table(), changed);
    try {
      distill_plan(*parsed);
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(refusal(json::object()), HasSubstr("student.channels is 3, must be the teacher's 4"));
  EXPECT_THAT(refusal({{"channels", 4}, {"pixel_mean", {.5, .5, .5, .5}}, {"pixel_std", {1, 1, 1, 1}}}),
              HasSubstr("not the teacher's"));
  EXPECT_EQ(refusal({{"channels", 4}}), "");
  options["student"]["channels"] = 4;
  const auto plan = distill_plan(*spec::distill_table().parse(options));
  run(plan, folder_.path() / "student");
  const auto student =
      load_backbone((folder_.path() / "student" / "checkpoints" / "step-0000000002").string());
  EXPECT_EQ(student.normalization, (data::Normalization{{.1, .2, .3, .4}, {.5, .6, .7, .8}}));
}

TEST_F(Channels, FeaturesAreComputedWithTheRecordedNormalisation) {
  const auto loaded = load_backbone(
      trained("run", {{"channels", 4}, {"pixel_mean", {.1, .2, .3, .4}}, {"pixel_std", {.5, .6, .7, .8}}}));
  storage::RealDisk disk;
  const auto samples = value_or_throw(storage::ShardSet::open(disk, data_ / "test"), "opening the split");
  const auto set =
      evaluate::load_pictures(samples, {}, loaded.normalization.channels(), {32, 1, false}, false, 1, 1);
  std::vector<const data::Image*> squares;
  for (const auto& picture : set.pictures) squares.push_back(&picture.square);
  const auto rows =
      evaluate::features_of(*loaded.network, loaded.normalization, squares, "cls", 4, 1, [](std::size_t) {});
  // By hand: the stored colours and opacity, each channel with its own numbers.
  auto images = torch::empty({12, 4, 32, 32});
  const float mean[] = {.1f, .2f, .3f, .4f}, deviation[] = {.5f, .6f, .7f, .8f};
  for (int i = 0; i < 12; ++i) {
    const auto square =
        evaluate::square_of(*data::decode_image(data::encode_png(picture_of(i)), {}, 4), {32, 1, false});
    for (int c = 0; c < 4; ++c)
      for (int at = 0; at < 32 * 32; ++at) {
        const auto pixel = static_cast<std::size_t>(at);
        const std::uint8_t byte =
            c < 3 ? square.rgb[3 * pixel + static_cast<std::size_t>(c)] : square.alpha[pixel];
        images[i][c][at / 32][at % 32] = (static_cast<float>(byte) / 255.f - mean[c]) / deviation[c];
      }
  }
  const torch::NoGradGuard no_grad;
  const auto wanted = loaded.network->forward_features(images).cls_BD;
  ASSERT_EQ(rows.values.size(), static_cast<std::size_t>(wanted.numel()));
  const auto given = torch::from_blob(const_cast<float*>(rows.values.data()), wanted.sizes());
  EXPECT_TRUE(torch::allclose(given, wanted, 1e-4, 1e-5)) << (given - wanted).abs().max();
  const auto usual = evaluate::features_of(*loaded.network, data::usual_normalization(4), squares, "cls", 4,
                                           1, [](std::size_t) {});
  EXPECT_NE(usual.values, rows.values);
}

TEST_F(Channels, CurationEmbedsWithTheModelsChannels) {
  const auto checkpoint = trained("run", {{"channels", 1}});
  const auto loaded = load_backbone(checkpoint);
  const auto embedded = curate::embed_with_model(
      checkpoint, 3, 1, [](std::size_t i) { return data::encode_png(picture_of(static_cast<int>(i))); });
  std::vector<data::Image> squares;
  for (int i = 0; i < 3; ++i)
    squares.push_back(
        evaluate::square_of(*data::decode_image(data::encode_png(picture_of(i)), {}, 1), {32, 1, true}));
  const auto wanted =
      evaluate::features_of(*loaded.network, loaded.normalization, {&squares[0], &squares[1], &squares[2]},
                            "cls", 3, 1, [](std::size_t) {});
  // Embeddings are scaled to length 1, features are not.
  for (std::size_t i = 0; i < 3; ++i) {
    double dot = 0, length = 0, other = 0;
    for (std::size_t d = 0; d < wanted.dim; ++d) {
      dot += static_cast<double>(embedded.rows.row(i)[d]) * wanted.row(i)[d];
      length += static_cast<double>(wanted.row(i)[d]) * wanted.row(i)[d];
      other += static_cast<double>(embedded.rows.row(i)[d]) * embedded.rows.row(i)[d];
    }
    EXPECT_NEAR(dot / std::sqrt(length * other), 1, 1e-5) << i;
  }
}

TEST(NormalizationOfState, IsReadAndHeldAgainstTheNetwork) {
  const json three{{"backbone", {{"channels", 3}}}};
  EXPECT_EQ(normalization_of_state(three), data::usual_normalization(3))
      << "checkpoints of before it was recorded";
  auto state = three;
  state["normalization"] = normalization_to_json({{.1, .2, .3}, {.4, .5, .6}});
  EXPECT_EQ(normalization_of_state(state), (data::Normalization{{.1, .2, .3}, {.4, .5, .6}}));
  for (const json& wrong :
       {json{{"mean", {.1}}, {"std", {.1}}}, json{{"mean", {.1, .2, .3}}, {"std", {.1, .2}}},
        json{{"mean", {.1, .2, .3}}, {"std", {.1, .2, 0}}}, json{{"mean", {.1, .2, .3}}}}) {
    state["normalization"] = wrong;
    EXPECT_THROW(normalization_of_state(state), std::invalid_argument) << wrong;
  }
  EXPECT_THROW(normalization_of_state({{"backbone", {{"channels", 2}}}}), std::invalid_argument);
}

TEST(BackboneJson, GoesThereAndBackWithItsRectangle) {
  model::VisionTransformerOptions options;
  options.image_height = 56;
  options.image_width = 84;
  options.channels = 4;
  const auto back = backbone_from_json(backbone_to_json(options));
  EXPECT_EQ(back.image_height, 56);
  EXPECT_EQ(back.image_width, 84);
  EXPECT_EQ(back.channels, 4);
  // As it was written before there were rectangles.
  auto old = backbone_to_json(options);
  for (const char* key : {"image_height", "image_width"}) old.erase(key);
  EXPECT_THROW(backbone_from_json(old), std::invalid_argument);
  old["image_size"] = 70;
  EXPECT_EQ(backbone_from_json(old).image_height, 70);
  EXPECT_EQ(backbone_from_json(old).image_width, 70);
}

TEST(BlurOdds, AreCalledAfterWhatIsSaidAndWhatIsDone) {
  const auto views = [](const std::string& blur) {
    auto options = tiny_options("/nowhere");
    options["augment"] = {{"blur", blur}};
    const auto loader = loader_options(plan_of(options), {0, 1}).views;
    return std::vector{loader.blur_probability_global_1, loader.blur_probability_global_2,
                       loader.blur_probability_local};
  };
  EXPECT_EQ(views("official-effective"), (std::vector{0., .9, .5}));
  EXPECT_EQ(views("as-declared"), (std::vector{1., .1, .5}));
  EXPECT_EQ(views("none"), (std::vector{0., 0., 0.}));
  EXPECT_THROW(views("released"), std::invalid_argument);
  EXPECT_EQ(loader_options(plan_of(tiny_options("/nowhere")), {0, 1}).views.blur_probability_global_2, .9);
}

}  // namespace
}  // namespace paddock::jobs
