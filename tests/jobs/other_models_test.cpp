// `paddock-run model` on networks of other methods, CLIP and I-JEPA: what their configs say, what nothing says, and what
// they have no class token for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "data/decode.h"
#include "jobs/model/model_command.h"
#include "jobs/model_checkpoint.h"
#include "jobs/tensors.h"
#include "jobs/value_or_throw.h"
#include "model/vision_transformer.h"
#include "storage/safetensors.h"
#include "tests/jobs/drawn_pictures.h"
#include "tests/jobs/tiny_run.h"

namespace paddock::jobs {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int kDone = 0, kWrongUsage = 2;

model::VisionTransformerOptions plain() {
  model::VisionTransformerOptions options;
  options.image_height = options.image_width = 32;
  options.patch_size = 8;
  options.embed_dim = 128;
  options.depth = 2;
  options.heads = 2;
  options.layerscale = 0;
  options.interpolate_antialias = true;
  options.interpolate_offset = 0;
  return options;
}

model::VisionTransformerOptions clip(const std::string& activation) {
  auto options = plain();
  options.norm_epsilon = 1e-5;
  options.patch_bias = false;
  options.pre_norm = true;
  options.activation = activation;
  return options;
}

model::VisionTransformerOptions ijepa() {
  auto options = plain();
  options.class_token = false;
  options.interpolate_antialias = false;
  return options;
}

// Wide enough that the two activations differ.
model::VisionTransformer drawn(const model::VisionTransformerOptions& options, std::uint64_t seed = 7) {
  model::VisionTransformer network(options);
  network.initialize(seed);
  torch::manual_seed(seed);
  const torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : network.parameters()) {
    if (name == "mask_token") continue;  // zero, as that of a family without one
    torch::Tensor(tensor).add_(torch::randn(tensor.sizes()), .2);
    // As I-JEPA fixes them for the first patch.
    if (name == "pos_embed" && !options.class_token)
      for (std::int64_t q = 0; q < 4; ++q)
        tensor.select(1, 0).slice(1, 32 * q, 32 * (q + 1)).fill_(q % 2 == 0 ? 0. : 1.);
  }
  return network;
}

model::NamedTensors without_mask(const model::VisionTransformer& network, const std::string& prefix = "") {
  model::NamedTensors all;
  for (const auto& [name, tensor] : network.parameters())
    if (name != "mask_token") all.emplace_back(prefix + name, tensor);
  return all;
}

class OtherModels : public testing::Test {
 protected:
  fs::path path(const std::string& name) const { return scratch_.path() / name; }

  void write_tensors(const std::string& name, const model::NamedTensors& tensors) const {
    storage::RealDisk disk;
    std::vector<storage::TensorBytes> bytes;
    for (const auto& [key, tensor] : tensors) bytes.push_back(bytes_of_tensor(key, tensor));
    fs::create_directories(path(name).parent_path());
    value_or_throw(storage::write_safetensors(disk, path(name), bytes), "writing");
  }
  void write_json(const std::string& name, const json& value) const {
    fs::create_directories(path(name).parent_path());
    std::ofstream(path(name)) << value;
  }
  int run(const std::vector<std::string>& words) {
    out_.str("");
    err_.str("");
    return run_model_command(words, out_, err_);
  }
  json info_of(const std::string& of, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {"info", "--weights", path(of).string(), "--output", "json"};
    words.insert(words.end(), more.begin(), more.end());
    EXPECT_EQ(run(words), kDone) << err();
    return json::parse(out());
  }
  // What `forward` gives for these images.
  model::TensorMap forward(const std::string& weights, const torch::Tensor& images,
                           const std::vector<std::string>& more = {}) {
    write_tensors("images.safetensors", {{"images", images}});
    std::vector<std::string> words = {"forward",
                                      "--weights",
                                      path(weights).string(),
                                      "--images",
                                      path("images.safetensors").string(),
                                      "--out",
                                      path("tokens.safetensors").string(),
                                      "--force"};
    words.insert(words.end(), more.begin(), more.end());
    EXPECT_EQ(run(words), kDone) << err();
    storage::RealDisk disk;
    return tensors_of_bytes(
        value_or_throw(storage::read_safetensors(disk, path("tokens.safetensors")), "reading")
            .contents.tensors);
  }
  std::string refused(const std::vector<std::string>& words) {
    EXPECT_EQ(run(words), kWrongUsage) << out();
    return err();
  }
  std::string out() const { return out_.str(); }
  std::string err() const { return err_.str(); }

  const ScratchFolder scratch_{"paddock-other-models"};

 private:
  std::ostringstream out_, err_;
};

TEST_F(OtherModels, AnActivationThatNobodySaysIsAssumedAloud) {
  write_tensors("clip.safetensors", without_mask(drawn(clip("quick_gelu"))));
  json about = info_of("clip.safetensors");
  EXPECT_THAT(err(),
              AllOf(HasSubstr("note: "), HasSubstr("quick_gelu is assumed"), HasSubstr("--activation")));
  EXPECT_EQ(about["family"], "timm-clip");
  EXPECT_EQ(about["activation"], "quick_gelu");
  EXPECT_EQ(about["activation_assumed"], true);
  EXPECT_EQ(about["pre_norm"], true);
  EXPECT_EQ(about["patch_bias"], false);
  EXPECT_EQ(about["class_token"], true);
  EXPECT_EQ(about["ffn_hidden"], 512);
  EXPECT_EQ(about["norm_epsilon"], 1e-5);
  EXPECT_EQ(about["normalization"]["mean"], json({.48145466, .4578275, .40821073}));
  about = info_of("clip.safetensors", {"--activation", "gelu"});
  EXPECT_EQ(err(), "");
  EXPECT_EQ(about["activation"], "gelu");
  EXPECT_EQ(about["activation_assumed"], false);
  EXPECT_EQ(run({"info", "--weights", path("clip.safetensors").string()}), kDone);
  EXPECT_THAT(out(),
              AllOf(HasSubstr("mlp of 512 with quick_gelu (assumed)"), HasSubstr("before the first block"),
                    HasSubstr("without bias"), HasSubstr("a class token")));
  EXPECT_THAT(refused({"info", "--weights", path("clip.safetensors").string(), "--activation", "relu"}),
              HasSubstr("gelu, quick_gelu"));
}

TEST_F(OtherModels, TheActivationChangesTheTokens) {
  const auto images = torch::randn({2, 3, 32, 32});
  for (const std::string activation : {"quick_gelu", "gelu"}) {
    const auto network = drawn(clip(activation));
    write_tensors("clip.safetensors", without_mask(network));
    const auto wanted = network.forward_features(images);
    const auto given = forward("clip.safetensors", images, {"--activation", activation});
    EXPECT_TRUE(torch::allclose(given.at("cls"), wanted.cls_BD, 1e-4, 1e-5));
    EXPECT_TRUE(torch::allclose(given.at("patches"), wanted.patches_BND, 1e-4, 1e-5));
    const std::string other = activation == "gelu" ? "quick_gelu" : "gelu";
    const auto wrong = forward("clip.safetensors", images, {"--activation", other}).at("cls");
    EXPECT_GT((wrong - wanted.cls_BD).abs().max().item<double>(), 1e-3);
  }
}

TEST_F(OtherModels, ConfigsBesideTheWeightsSayTheActivation) {
  const auto tensors = without_mask(drawn(clip("gelu")));
  const json transformers = {{"model_type", "clip"},
                             {"vision_config", {{"hidden_act", "gelu"}, {"num_attention_heads", 4}}}};
  json with_defaults = transformers;
  with_defaults["vision_config"].erase("hidden_act");
  const json timm_gelu = {{"architecture", "vit_base_patch16_clip_224"},
                          {"pretrained_cfg", {{"mean", {.5, .5, .5}}, {"std", {.25, .25, .25}}}}};
  const json timm_quick = {{"architecture", "vit_base_patch16_clip_quickgelu_224"}};
  const json timm_told = {{"architecture", "vit_base_patch16_clip_224"},
                          {"model_args", {{"act_layer", "quick_gelu"}, {"num_heads", 8}}}};
  const json open_clip = {{"model_cfg", {{"vision_cfg", {{"width", 128}, {"head_width", 32}}}}},
                          {"preprocess_cfg", {{"mean", {.5, .5, .5}}, {"std", {.25, .25, .25}}}}};
  json open_clip_quick = open_clip;
  open_clip_quick["model_cfg"]["quick_gelu"] = true;
  const auto expect = [&](const std::string& config, const std::string& weights, const json& says,
                          const std::string& activation, int heads, double mean) {
    fs::remove_all(path("folder"));
    write_tensors("folder/" + weights, tensors);
    write_json("folder/" + config, says);
    for (const std::string& of : {std::string("folder"), "folder/" + weights}) {
      const json about = info_of(of);
      EXPECT_EQ(err(), "") << says;
      EXPECT_EQ(about["activation"], activation) << says;
      EXPECT_EQ(about["heads"], heads) << says;
      EXPECT_EQ(about["normalization"]["mean"][0], mean) << says;
    }
  };
  expect("config.json", "model.safetensors", transformers, "gelu", 4, .48145466);
  expect("config.json", "model.safetensors", with_defaults, "quick_gelu", 4, .48145466);
  expect("config.json", "model.safetensors", timm_gelu, "gelu", 2, .5);
  expect("config.json", "model.safetensors", timm_quick, "quick_gelu", 2, .48145466);
  expect("config.json", "model.safetensors", timm_told, "quick_gelu", 8, .48145466);
  expect("open_clip_config.json", "open_clip_model.safetensors", open_clip, "gelu", 4, .5);
  expect("open_clip_config.json", "open_clip_model.safetensors", open_clip_quick, "quick_gelu", 4, .5);
  // The command line has the last word; another name is another file's.
  EXPECT_EQ(info_of("folder", {"--activation", "gelu"})["activation"], "gelu");
  write_tensors("folder/mine.safetensors", tensors);
  EXPECT_EQ(info_of("folder/mine.safetensors")["activation_assumed"], true);
}

TEST_F(OtherModels, ConfigsThatCannotBeAreRefused) {
  const auto tensors = without_mask(drawn(clip("gelu")));
  const auto refusal = [&](const std::string& config, const std::string& weights, const json& says) {
    fs::remove_all(path("folder"));
    write_tensors("folder/" + weights, tensors);
    write_json("folder/" + config, says);
    return refused({"info", "--weights", path("folder").string()});
  };
  EXPECT_THAT(refusal("config.json", "model.safetensors", {{"vision_config", {{"hidden_act", "gelu_new"}}}}),
              AllOf(HasSubstr("config.json: hidden_act is \"gelu_new\""), HasSubstr("gelu and quick_gelu")));
  EXPECT_THAT(refusal("config.json", "model.safetensors",
                      {{"architecture", "vit"}, {"model_args", {{"act_layer", "gelu_tanh"}}}}),
              HasSubstr("act_layer is \"gelu_tanh\""));
  EXPECT_THAT(refusal("config.json", "model.safetensors", {{"model_type", 7}}),
              HasSubstr("config.json: has a"));
  EXPECT_THAT(refusal("open_clip_config.json", "open_clip_model.safetensors",
                      {{"model_cfg", {{"vision_cfg", {{"width", "wide"}}}}}}),
              HasSubstr("open_clip_config.json: width is \"wide\""));
  EXPECT_THAT(refusal("open_clip_config.json", "model.safetensors", json::object()),
              HasSubstr("neither open_clip_model.safetensors nor open_clip_pytorch_model.bin"));
}

TEST_F(OtherModels, IjepaIsPooledByTheMeanOfItsPatches) {
  const auto network = drawn(ijepa());
  write_tensors("ijepa.safetensors", without_mask(network));
  const json about = info_of("ijepa.safetensors");
  EXPECT_EQ(err(), "");
  EXPECT_EQ(about["family"], "ijepa");
  EXPECT_EQ(about["class_token"], false);
  EXPECT_EQ(run({"info", "--weights", path("ijepa.safetensors").string()}), kDone);
  EXPECT_THAT(out(), HasSubstr("no class token, the patches' mean stands for it"));
  const auto images = torch::randn({2, 3, 32, 32});
  const auto given = forward("ijepa.safetensors", images);
  EXPECT_TRUE(torch::allclose(given.at("patches"), network.forward_features(images).patches_BND, 1e-4, 1e-5));
  EXPECT_TRUE(torch::allclose(given.at("cls"), given.at("patches").mean(1), 1e-5, 1e-6));
  EXPECT_EQ(given.at("registers").size(1), 0);
}

TEST_F(OtherModels, WhatNeedsAClassTokenIsRefusedInOneSentence) {
  write_tensors("ijepa.safetensors", without_mask(drawn(ijepa())));
  write_bytes(path("picture.png"), data::encode_png(drawn_picture(1, 60, 50)));
  const auto on_picture = [&](std::vector<std::string> more) {
    std::vector<std::string> words = {
        more[0],  "--weights", path("ijepa.safetensors").string(), "--input", path("picture.png").string(),
        "--size", "32"};
    words.insert(words.end(), more.begin() + 1, more.end());
    return words;
  };
  EXPECT_THAT(refused(on_picture({"attention", "--out", path("maps").string()})),
              HasSubstr("needs a class token, and this network has none"));
  EXPECT_THAT(refused(on_picture({"features", "--what", "cls_patchmean", "--out", path("f.npy").string()})),
              HasSubstr("no class token"));
  EXPECT_EQ(run(on_picture({"features", "--out", path("f.npy").string()})), kDone) << err();
}

TEST_F(OtherModels, OfIjepasCheckpointTheRoleChoosesTheEncoder) {
  auto target = without_mask(drawn(ijepa()), "target_encoder.module.");
  const auto encoder = without_mask(drawn(ijepa(), 8), "encoder.module.");
  target.insert(target.end(), encoder.begin(), encoder.end());
  write_tensors("ijepa.safetensors", target);
  const auto images = torch::randn({1, 3, 32, 32});
  const auto of = [&](std::uint64_t seed) {
    return drawn(ijepa(), seed).forward_features(images).patches_BND;
  };
  EXPECT_TRUE(torch::allclose(forward("ijepa.safetensors", images).at("patches"), of(7), 1e-4, 1e-5));
  EXPECT_TRUE(torch::allclose(forward("ijepa.safetensors", images, {"--role", "student"}).at("patches"),
                              of(8), 1e-4, 1e-5));
  EXPECT_EQ(info_of("ijepa.safetensors")["left_out"].size(), encoder.size());
}

TEST_F(OtherModels, OfficialNamesHoldThemAndSayWhatTheOfficialCodeLacks) {
  const auto images = torch::randn({1, 3, 40, 32});
  for (const auto& [options, activation] : {std::pair{clip("quick_gelu"), "quick_gelu"}, {ijepa(), "gelu"}}) {
    const auto network = drawn(options);
    write_tensors("one.safetensors", without_mask(network));
    ASSERT_EQ(run({"convert", "--weights", path("one.safetensors").string(), "--to", "official", "--out",
                   path("official.safetensors").string(), "--force"}),
              kDone)
        << err();
    EXPECT_THAT(err(), HasSubstr("the official code cannot compute this model: it has "));
    EXPECT_THAT(err(),
                HasSubstr(options.class_token ? "a norm before its blocks, quick GELU" : "no class token"));
    EXPECT_THAT(err(), Not(HasSubstr("differ a little")));
    const auto given = forward("official.safetensors", images, {"--activation", activation});
    EXPECT_TRUE(torch::allclose(given.at("cls"), network.forward_features(images).cls_BD, 1e-4, 1e-5));
    EXPECT_THAT(refused({"convert", "--weights", path("one.safetensors").string(), "--to", "hugging-face",
                         "--out", path("hf").string()}),
                HasSubstr("Hugging Face's DINOv2 classes"));
  }
}

TEST(BackboneJson, CarriesEveryOptionAndFillsInWhatOlderCheckpointsLack) {
  auto options = clip("quick_gelu");
  options.class_token = false;
  options.ffn_hidden = 96;
  json saved = backbone_to_json(options);
  const auto loaded = backbone_from_json(saved);
  EXPECT_FALSE(loaded.class_token);
  EXPECT_FALSE(loaded.patch_bias);
  EXPECT_TRUE(loaded.pre_norm);
  EXPECT_EQ(loaded.activation, "quick_gelu");
  EXPECT_EQ(loaded.ffn_hidden, 96);
  for (const char* key : {"class_token", "patch_bias", "pre_norm", "activation", "ffn_hidden"})
    saved.erase(key);
  const auto old = backbone_from_json(saved);
  EXPECT_TRUE(old.class_token);
  EXPECT_TRUE(old.patch_bias);
  EXPECT_FALSE(old.pre_norm);
  EXPECT_EQ(old.activation, "gelu");
  EXPECT_EQ(old.ffn_hidden, 0);
  saved["activation"] = 7;
  EXPECT_THROW(backbone_from_json(saved), std::invalid_argument);
}

}  // namespace
}  // namespace paddock::jobs
