// `paddock-run model` on networks and pictures that are no squares of three channels.
#include "tests/jobs/model_command_case.h"

namespace paddock::jobs {
namespace {

class Rectangle : public ModelCommand {
 protected:
  void SetUp() override {
    ModelCommand::SetUp();
    write_tensors(file(), rectangle_.parameters());
  }
  static model::VisionTransformerOptions options() {
    model::VisionTransformerOptions options = tiny();
    options.image_height = 32;
    options.image_width = 48;
    return options;
  }
  fs::path file() const { return path("rectangle.safetensors"); }
  std::string words() const { return file().string(); }

  const model::VisionTransformer rectangle_ = network_of(options());
};

TEST_F(Rectangle, IsReadWithItsGridAndNotWithoutOrWithAnother) {
  expect_refused({"info", "--weights", words()}, kWrongUsage, "pos_embed has 25 rows, which are no square");
  expect_refused({"info", "--weights", words(), "--grid", "5x5"}, kWrongUsage,
                 "a grid of 5x5 patches need 26");
  for (const char* wrong : {"24", "4x", "x6", "4x6x1", "0x24", "-4x6", "4×6"})
    expect_refused({"info", "--weights", words(), "--grid", wrong}, kWrongUsage, "--grid is '");
  const json about = info_of(file(), {"--grid", "4x6"});
  EXPECT_EQ(about["positions"]["rows"], 4);
  EXPECT_EQ(about["positions"]["columns"], 6);
  EXPECT_EQ(about["positions"]["image_width"], 48);
  EXPECT_EQ(about["normalization"]["mean"], json({.485, .456, .406}));
}

TEST_F(Rectangle, GoesOutUnderOfficialNamesWithANoteAndNotToHuggingFace) {
  const fs::path out = path("out.safetensors");
  ASSERT_EQ(
      run({"convert", "--weights", words(), "--grid", "4x6", "--to", "official", "--out", out.string()}),
      kDone)
      << err();
  EXPECT_THAT(err(), HasSubstr("--grid 4x6"));
  for (const auto& [name, tensor] : rectangle_.parameters())
    EXPECT_TRUE(torch::equal(read_tensors(out).at(name), tensor)) << name;
  expect_refused({"convert", "--weights", words(), "--grid", "4x6", "--to", "hugging-face", "--out",
                  path("hf").string()},
                 kWrongUsage, "only with a square one");
}

TEST_F(Rectangle, IsComputedAtItsOwnGridWithItsOwnTable) {
  const auto images = torch::randn({2, 3, 32, 48});
  write_tensors(path("images.safetensors"), {{"images", images}});
  ASSERT_EQ(run({"forward", "--weights", words(), "--grid", "4x6", "--images",
                 path("images.safetensors").string(), "--out", path("t.safetensors").string()}),
            kDone)
      << err();
  const torch::NoGradGuard no_grad;
  const auto tokens = read_tensors(path("t.safetensors"));
  EXPECT_TRUE(torch::equal(tokens.at("patches"), rectangle_.forward_features(images).patches_BND));
  EXPECT_EQ(tokens.at("patches").size(1), 24);
}

TEST_F(Rectangle, InACheckpointSaysItsGrid) {
  const auto checkpoint =
      write_checkpoint(rectangle_, {{"step", 1}, {"backbone", backbone_to_json(options())}});
  EXPECT_EQ(info_of(checkpoint)["positions"]["columns"], 6);
  EXPECT_EQ(info_of(checkpoint, {"--grid", "4x6"})["positions"]["rows"], 4);
  expect_refused({"info", "--weights", checkpoint.string(), "--grid", "6x4"}, kWrongUsage,
                 "positions of 4x6 patches, not of 6x4");
}

TEST_F(Rectangle, InAFolderIsReadByItsConfig) {
  fs::create_directories(path("folder"));
  fs::copy(file(), path("folder/model.safetensors"));
  const auto with_config = [&](const json& config) { std::ofstream(path("folder/config.json")) << config; };
  with_config({{"image_size", {32, 48}}, {"patch_size", 8}, {"num_attention_heads", 2}});
  EXPECT_EQ(info_of(path("folder"))["positions"]["columns"], 6);
  expect_refused({"info", "--weights", path("folder").string(), "--grid", "6x4"}, kWrongUsage,
                 "config.json says positions of 4x6 patches, --grid says 6x4");
  with_config({{"image_size", {32, 48}}});
  expect_refused({"info", "--weights", path("folder").string()}, kWrongUsage, "image_size is [32,48]");
  with_config({{"image_size", 224}, {"patch_size", 8}});
  expect_refused({"info", "--weights", path("folder").string()}, kWrongUsage, "no square");
}

TEST_F(ModelCommand, SidesThatThePatchDoesNotDivideAreTakenAsAskedFor) {
  const auto images = torch::randn({2, 3, 30, 43});
  write_tensors(path("images.safetensors"), {{"images", images}});
  const auto patches = [&](const std::string& sides) {
    EXPECT_EQ(
        run({"forward", "--weights", weights().string(), "--images", path("images.safetensors").string(),
             "--out", path("t.safetensors").string(), "--sides", sides, "--force"}),
        kDone)
        << err();
    return read_tensors(path("t.safetensors")).at("patches");
  };
  const torch::NoGradGuard no_grad;
  auto padded = torch::zeros({2, 3, 32, 48});
  padded.slice(2, 0, 30).slice(3, 0, 43).copy_(images);
  EXPECT_TRUE(torch::equal(patches("pad"), network_.forward_features(padded).patches_BND));
  EXPECT_EQ(patches("resize").sizes(), (torch::IntArrayRef{2, 4 * 5, 128}));
  expect_refused({"forward", "--weights", weights().string(), "--images", path("images.safetensors").string(),
                  "--out", path("u.safetensors").string()},
                 kWrongUsage, "multiples of 8");
  expect_refused({"forward", "--weights", weights().string(), "--images", path("images.safetensors").string(),
                  "--out", path("u.safetensors").string(), "--sides", "crop"},
                 kWrongUsage, "refuse, resize, pad");
}

TEST_F(ModelCommand, WholePicturesKeepTheirProportions) {
  // 60×50, 70×50, 80×50, 90×50 and 100×50 pixels, 32 high: 38, 44, 51, 57 and 64 wide.
  const std::string out = path("f.safetensors").string();
  ASSERT_EQ(run_on_pictures("features", {"--fit", "whole", "--sides", "pad", "--out", out}), kDone) << err();
  const auto rows = read_tensors(out).at("features");
  ASSERT_EQ(rows.size(0), 5);
  const torch::NoGradGuard no_grad;
  for (int i = 0; i < 5; ++i) {
    const auto picture = read_png(path("pictures/" + std::to_string(i) + ".png"));
    const auto image = data::resize(picture, 32 * picture.width / 50, 32);
    auto images = torch::empty({1, 3, 32, image.width});
    data::normalize(image, {}, images.data_ptr<float>());
    const auto wide = torch::constant_pad_nd(images, {0, (8 - image.width % 8) % 8}, 0);
    EXPECT_TRUE(torch::allclose(rows[i], network_.forward_features(wide).cls_BD[0], 1e-4, 1e-5)) << i;
  }
  // Only the last of them fits as it is.
  ASSERT_EQ(run_on_pictures("features", {"--fit", "whole", "--out", out, "--force"}), kDone) << err();
  EXPECT_EQ(read_tensors(out).at("features").size(0), 1);
  EXPECT_THAT(err(), AllOf(HasSubstr("2.png: not used: 51 × 32 pixels"), HasSubstr("--sides resize")));
  EXPECT_EQ(text_of_file(out + ".txt"), pictures() + "/4.png\n");
  EXPECT_EQ(run_on_pictures("features", {"--fit", "whole", "--sides", "pad", "--what", "patches", "--out",
                                         path("p.safetensors").string()}),
            kWrongUsage);
  EXPECT_THAT(err(), HasSubstr("4 x 5 and 4 x 6"));
}

TEST_F(ModelCommand, MapsOfWholePicturesLieOverThem) {
  for (const char* sides : {"resize", "pad"}) {
    const fs::path dir = path(std::string("maps-") + sides), colors = path(std::string("colors-") + sides);
    ASSERT_EQ(run_on_pictures("attention", {"--fit", "whole", "--sides", sides, "--out", dir.string()}),
              kDone)
        << err();
    const data::Image sheet = read_png(dir / "2.png");
    EXPECT_EQ(sheet.width, 3 * 51 + 2 * 4);
    EXPECT_EQ(sheet.height, 4 * 32 + 3 * 4);
    // Cells of padding are 8 wide and cut at the edge; resized ones share the width.
    const std::uint8_t* row = sheet.row(0) + 3 * (51 + 4);
    const int first = std::string(sides) == "pad" ? 8 : 9;  // 51 pixels are 7 cells, or 6 of 8.5
    for (int x = 1; x < first; ++x) EXPECT_TRUE(std::equal(row, row + 3, row + 3 * x)) << sides << ' ' << x;
    ASSERT_EQ(run_on_pictures("pca", {"--fit", "whole", "--sides", sides, "--out", colors.string()}), kDone)
        << err();
    EXPECT_EQ(read_png(colors / "2.png").width, 2 * 51 + 4);
    EXPECT_EQ(read_png(colors / "4.png").width, 2 * 64 + 4);
  }
}

TEST_F(ModelCommand, ASquareOfAnySizeIsTakenWhereSidesAllowIt) {
  const auto features_at = [&](const std::string& size, const std::string& sides) {
    const std::string out = path("f.safetensors").string();
    EXPECT_EQ(run({"features", "--weights", weights().string(), "--input", pictures(), "--size", size,
                   "--sides", sides, "--what", "patches", "--out", out, "--force"}),
              kDone)
        << err();
    return read_tensors(out).at("features").size(1);
  };
  EXPECT_EQ(features_at("33", "pad"), 25);
  EXPECT_EQ(features_at("33", "resize"), 16);
}

TEST_F(ModelCommand, PicturesOfOtherChannelsNeedTheirNormalisation) {
  for (const std::int64_t channels : {1, 4}) {
    auto options = tiny();
    options.channels = channels;
    const auto network = network_of(options);
    const fs::path file = path("channels-" + std::to_string(channels) + ".safetensors");
    write_tensors(file, network.parameters());
    EXPECT_EQ(info_of(file)["channels"], channels);
    EXPECT_TRUE(info_of(file)["normalization"].is_null());
    const std::vector<std::string> words = {"features", "--weights", file.string(),
                                            "--input",  pictures(),  "--size",
                                            "32",       "--out",     path("f.safetensors").string(),
                                            "--force"};
    expect_refused(words, kWrongUsage, "--mean and --std are needed");
    std::vector<std::string> given = words;
    const data::Normalization normalization = channels == 1
                                                  ? data::Normalization{{.25}, {.5}}
                                                  : data::Normalization{{.1, .2, .3, .4}, {.5, .6, .7, .8}};
    given.push_back("--mean");
    for (const double mean : normalization.mean) given.push_back(std::to_string(mean));
    given.push_back("--std");
    for (const double std : normalization.std) given.push_back(std::to_string(std));
    ASSERT_EQ(run(given), kDone) << err();
    std::vector<data::Image> squares;
    for (int i = 0; i < 5; ++i) {
      const std::string png = text_of_file(path("pictures/" + std::to_string(i) + ".png"));
      squares.push_back(evaluate::square_of(
          *data::decode_image(storage::bytes_of(png), {}, static_cast<int>(channels)), {32, .875, false}));
    }
    std::vector<const data::Image*> pointers;
    for (const data::Image& square : squares) pointers.push_back(&square);
    const auto wanted =
        evaluate::features_of(network, normalization, pointers, "cls", 16, 1, [](std::size_t) {});
    const auto rows = read_tensors(path("f.safetensors")).at("features");
    EXPECT_EQ(std::memcmp(rows.const_data_ptr(), wanted.values.data(), rows.nbytes()), 0);
    given = words;
    given.insert(given.end(), {"--mean", ".5", "--std", ".5", ".5"});
    expect_refused(given, kWrongUsage, "there are 1 means and 2 deviations");
    given = words;
    given.insert(given.end(), {"--mean", ".5", ".5", ".5", "--std", ".5", ".5", ".5"});
    expect_refused(given, kWrongUsage,
                   "takes " + std::to_string(channels) + " channels, and the normalisation has 3");
  }
  auto options = tiny();
  options.channels = 2;
  write_tensors(path("two.safetensors"), network_of(options).parameters());
  expect_refused({"features", "--weights", path("two.safetensors").string(), "--input", pictures(), "--size",
                  "32", "--out", path("f.npy").string()},
                 kWrongUsage, "takes 2 channels, pictures have 1, 3 or 4");
}

TEST_F(ModelCommand, ACheckpointsNormalisationIsUsedGoesWithItAndIsNotReplaced) {
  const data::Normalization own{{.1, .2, .3}, {.4, .5, .6}};
  const auto checkpoint = write_checkpoint(
      network_,
      {{"step", 7}, {"backbone", backbone_to_json(tiny())}, {"normalization", normalization_to_json(own)}});
  const auto features_of = [&](const fs::path& model) {
    EXPECT_EQ(run({"features", "--weights", model.string(), "--input", pictures(), "--size", "32", "--out",
                   path("f.safetensors").string(), "--force"}),
              kDone)
        << err();
    return read_tensors(path("f.safetensors")).at("features");
  };
  const auto own_features = features_of(checkpoint);
  EXPECT_FALSE(torch::allclose(own_features, features_of(weights()), 1e-2, 1e-2)) << "ImageNet's";
  expect_refused(
      {"info", "--weights", checkpoint.string(), "--mean", ".5", ".5", ".5", "--std", ".5", ".5", ".5"},
      kWrongUsage, "was trained with");
  ASSERT_EQ(run({"convert", "--weights", checkpoint.string(), "--to", "hugging-face", "--out",
                 path("hf").string()}),
            kDone)
      << err();
  EXPECT_EQ(json::parse(text_of_file(path("hf/preprocessor_config.json")))["image_mean"], json(own.mean));
  EXPECT_TRUE(torch::equal(features_of(path("hf")), own_features));
  ASSERT_EQ(run({"convert", "--weights", checkpoint.string(), "--to", "official", "--out",
                 path("o.safetensors").string()}),
            kDone);
  EXPECT_THAT(err(), HasSubstr("does not say that pixels are normalised by"));
  std::ofstream(path("hf/preprocessor_config.json")) << json{{"image_mean", {1, 2}}, {"image_std", {1}}};
  expect_refused({"info", "--weights", path("hf").string()}, kWrongUsage, "2 means and 1 deviations");
}

}  // namespace
}  // namespace paddock::jobs
