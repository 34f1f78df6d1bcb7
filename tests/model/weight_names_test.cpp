// Files of every family, made from an official network by inverses written out here, without the tables under test.
#include "model/weight_names.h"

#include <gmock/gmock.h>

#include "model/vision_transformer.h"

namespace paddock::model {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

VisionTransformerOptions tiny() {
  VisionTransformerOptions options;
  options.image_size = 12;
  options.patch_size = 4;
  options.embed_dim = 128;
  options.depth = 2;
  options.heads = 2;
  return options;
}

// Every parameter random, so that none can stand for another.
VisionTransformer drawn(const VisionTransformerOptions& options) {
  VisionTransformer network(options);
  network.initialize(7);
  torch::manual_seed(11);
  const torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : network.parameters())
    torch::Tensor(tensor).add_(torch::randn(tensor.sizes()), .05);
  return network;
}

void set_zero(VisionTransformer& network, const std::string& parameter) {
  for (auto& [name, tensor] : network.parameters())
    if (name == parameter) torch::Tensor(tensor).zero_();
}

void set_class_position_zero(VisionTransformer& network) {
  for (auto& [name, tensor] : network.parameters())
    if (name == "pos_embed") tensor.slice(1, 0, 1).zero_();
}

TensorMap official(const VisionTransformer& network) {
  TensorMap all;
  for (const auto& [name, tensor] : network.parameters()) all.emplace(name, tensor);
  return all;
}

void rename(TensorMap& tensors, const std::string& from, const std::string& to) {
  auto node = tensors.extract(from);
  ASSERT_FALSE(node.empty()) << from;
  node.key() = to;
  tensors.insert(std::move(node));
}

TensorMap under(const std::string& prefix, const TensorMap& tensors) {
  TensorMap all;
  for (const auto& [name, tensor] : tensors) all.emplace(prefix + name, tensor);
  return all;
}

struct HuggingFaceWords {
  std::string query, key, value, output;
  std::vector<std::string> gate_and_value;
  std::string down;
};
const HuggingFaceWords kOnDisk{"attention.attention.query", "attention.attention.key",
                               "attention.attention.value", "attention.output.dense",
                               {"mlp.weights_in"},          "mlp.weights_out"};
const HuggingFaceWords kInMemory{"attention.q_proj",
                                 "attention.k_proj",
                                 "attention.v_proj",
                                 "attention.o_proj",
                                 {"mlp.gate_proj", "mlp.up_proj"},
                                 "mlp.down_proj"};

TensorMap hugging_face(const VisionTransformer& network, const HuggingFaceWords& words) {
  TensorMap source = official(network), all;
  const auto move = [&](const std::string& from, const std::string& to) {
    if (const auto it = source.find(from); it != source.end()) all.emplace(to, it->second);
  };
  for (const char* token : {"cls_token", "mask_token", "register_tokens"})
    move(token, std::string("embeddings.") + token);
  move("pos_embed", "embeddings.position_embeddings");
  for (const std::string leaf : {".weight", ".bias"}) {
    move("patch_embed.proj" + leaf, "embeddings.patch_embeddings.projection" + leaf);
    move("norm" + leaf, "layernorm" + leaf);
    for (std::int64_t i = 0; i < network.options().depth; ++i) {
      const std::string theirs = "encoder.layer." + std::to_string(i) + ".";
      const std::string ours = "blocks." + std::to_string(i) + ".";
      for (const std::string same : {"norm1", "norm2", "mlp.fc1", "mlp.fc2"})
        move(ours + same + leaf, theirs + same + leaf);
      const auto qkv = source.at(ours + "attn.qkv" + leaf).chunk(3);
      all.emplace(theirs + words.query + leaf, qkv[0]);
      all.emplace(theirs + words.key + leaf, qkv[1]);
      all.emplace(theirs + words.value + leaf, qkv[2]);
      move(ours + "attn.proj" + leaf, theirs + words.output + leaf);
      move(ours + "ls1.gamma", theirs + "layer_scale1.lambda1");
      move(ours + "ls2.gamma", theirs + "layer_scale2.lambda1");
      if (network.options().ffn != "swiglu") continue;
      const auto parts = static_cast<std::int64_t>(words.gate_and_value.size());
      const auto joined = source.at(ours + "mlp.w12" + leaf).chunk(parts);
      for (std::size_t part = 0; part < joined.size(); ++part)
        all.emplace(theirs + words.gate_and_value[part] + leaf, joined[part]);
      move(ours + "mlp.w3" + leaf, theirs + words.down + leaf);
    }
  }
  return all;
}

TensorMap timm(const VisionTransformer& network) {
  TensorMap all = official(network);
  all.erase("mask_token");
  if (network.options().registers > 0) {
    rename(all, "register_tokens", "reg_token");
    all["pos_embed"] = all["pos_embed"].slice(1, 1);
  }
  if (network.options().ffn == "swiglu") {
    for (std::int64_t i = 0; i < network.options().depth; ++i) {
      const std::string mlp = "blocks." + std::to_string(i) + ".mlp.";
      for (const std::string leaf : {".weight", ".bias"}) {
        rename(all, mlp + "w12" + leaf, mlp + "fc1" + leaf);
        rename(all, mlp + "w3" + leaf, mlp + "fc2" + leaf);
      }
    }
  }
  return all;
}

void expect_same_options(const VisionTransformerOptions& given, const VisionTransformerOptions& wanted) {
  EXPECT_EQ(given.image_size, wanted.image_size);
  EXPECT_EQ(given.patch_size, wanted.patch_size);
  EXPECT_EQ(given.embed_dim, wanted.embed_dim);
  EXPECT_EQ(given.depth, wanted.depth);
  EXPECT_EQ(given.heads, wanted.heads);
  EXPECT_EQ(given.registers, wanted.registers);
  EXPECT_EQ(given.channels, wanted.channels);
  EXPECT_EQ(given.ffn, wanted.ffn);
  EXPECT_EQ(given.layerscale, wanted.layerscale);
  EXPECT_EQ(given.norm_epsilon, wanted.norm_epsilon);
  EXPECT_EQ(given.interpolate_antialias, wanted.interpolate_antialias);
  EXPECT_EQ(given.interpolate_offset, wanted.interpolate_offset);
}

// The file is recognised as `family`, and the network made from it computes the same bits as `network`, masked or not,
// on the table's own grid and on another.
RecognisedWeights expect_same_network(const TensorMap& file, const std::string& family,
                                      const VisionTransformer& network,
                                      std::optional<std::int64_t> heads = std::nullopt) {
  auto recognised = recognise_weights(file, heads);
  EXPECT_EQ(recognised.family, family);
  expect_same_options(recognised.options, network.options());
  VisionTransformer loaded(recognised.options);
  load_weights(loaded.parameters(), recognised.backbone);
  const torch::NoGradGuard no_grad;
  for (const std::int64_t side : {12, 20}) {
    const auto images = torch::randn({2, 3, side, side});
    const auto masks = torch::rand({2, side * side / 16}) < .3;
    for (const auto& mask : {torch::Tensor(), masks}) {
      const auto wanted = network.forward_features(images, mask),
                 given = loaded.forward_features(images, mask);
      EXPECT_TRUE(torch::equal(given.prenorm_BTD, wanted.prenorm_BTD)) << family << " at " << side;
      EXPECT_TRUE(torch::equal(given.cls_BD, wanted.cls_BD)) << family << " at " << side;
    }
  }
  return recognised;
}

std::string refusal(const TensorMap& file, std::optional<std::int64_t> heads = std::nullopt) {
  try {
    recognise_weights(file, heads);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing was refused";
}

VisionTransformerOptions with_registers(VisionTransformerOptions options) {
  options.registers = 4;
  options.interpolate_antialias = true;
  options.interpolate_offset = 0;
  return options;
}

VisionTransformerOptions by_size(VisionTransformerOptions options, bool antialias) {
  options.interpolate_antialias = antialias;
  options.interpolate_offset = 0;
  return options;
}

VisionTransformerOptions gated(VisionTransformerOptions options) {
  options.ffn = "swiglu";
  return options;
}

VisionTransformerOptions unscaled(VisionTransformerOptions options) {
  options.layerscale = 0;
  return options;
}

TEST(WeightNames, OfficialFilesAreTakenAsTheyAre) {
  for (const auto& options : {tiny(), with_registers(tiny()), gated(tiny()), unscaled(tiny())}) {
    const auto network = drawn(options);
    const auto recognised = expect_same_network(official(network), "dinov2", network);
    EXPECT_THAT(recognised.left_out, ElementsAre());
  }
}

TEST(WeightNames, BlocksNumberedWithinChunksAreFlattened) {
  auto options = tiny();
  options.depth = 12;
  const auto network = drawn(options);
  TensorMap chunked;
  for (const auto& [name, tensor] : official(network)) {
    if (!name.starts_with("blocks."))
      chunked.emplace(name, tensor);
    else
      chunked.emplace("blocks." + std::to_string(std::stoi(name.substr(7)) / 3) + name.substr(6), tensor);
  }
  EXPECT_TRUE(chunked.contains("blocks.3.11.norm1.weight"));
  expect_same_network(chunked, "dinov2", network);
}

TEST(WeightNames, OfATrainingCheckpointTheTeachersBackboneIsTakenAndTheRestIsNamed) {
  const auto teacher = drawn(tiny());
  TensorMap student = official(teacher);
  for (auto& [name, tensor] : student) tensor = tensor + 1;
  auto file = under("teacher.backbone.", official(teacher));
  file.merge(under("student.module.backbone._orig_mod.", student));
  file.emplace("teacher.dino_head.last_layer.weight_g", torch::ones({8, 1}));
  file.emplace("student.module.ibot_head.mlp.0.bias", torch::ones({8}));
  file.emplace("optimizer.state.0.exp_avg", torch::ones({8}));
  const auto recognised = expect_same_network(file, "dinov2", teacher);
  EXPECT_EQ(recognised.left_out.size(), student.size() + 3);
  for (const char* name : {"teacher.dino_head.last_layer.weight_g", "student.module.ibot_head.mlp.0.bias",
                           "optimizer.state.0.exp_avg", "student.module.backbone._orig_mod.cls_token"})
    EXPECT_THAT(recognised.left_out, ::testing::Contains(name));
}

TEST(WeightNames, AnyPrefixIsTakenButNothingUnknownBesideIt) {
  const auto network = drawn(tiny());
  for (const char* prefix : {"module.", "student.backbone.", "model.encoder.", "teacher."})
    expect_same_network(under(prefix, official(network)), "dinov2", network);
  auto file = under("pretrained.", official(network));
  file.emplace("depth_neck.weight", torch::ones({2}));
  EXPECT_THAT(refusal(file), HasSubstr("unknown depth_neck.weight"));
}

TEST(WeightNames, HuggingFacesProjectionsAreJoined) {
  for (const auto& words : {kOnDisk, kInMemory}) {
    for (const auto& options :
         {by_size(tiny(), false), with_registers(tiny()), by_size(gated(tiny()), false)}) {
      const auto network = drawn(options);
      const auto file = hugging_face(network, words);
      expect_same_network(file, "hf-dinov2", network);
      for (const char* prefix : {"dinov2.", "dinov2_with_registers."}) {
        auto classifier = under(prefix, file);
        classifier.emplace("classifier.weight", torch::ones({10, 256}));
        const auto recognised = expect_same_network(classifier, "hf-dinov2", network);
        EXPECT_THAT(recognised.left_out, ElementsAre("classifier.weight"));
      }
    }
  }
}

TEST(WeightNames, HuggingFacesPlainTransformerHasItsOwnNamesAndEpsilon) {
  auto options = by_size(tiny(), false);
  options.layerscale = 0;
  options.norm_epsilon = 1e-12;
  auto network = drawn(options);
  const torch::NoGradGuard no_grad;
  set_zero(network, "mask_token");
  TensorMap file;
  for (const auto& [name, tensor] : hugging_face(network, kOnDisk)) {
    std::string theirs = name;
    const auto replace = [&](const std::string& from, const std::string& to) {
      if (const auto at = theirs.find(from); at != std::string::npos) theirs.replace(at, from.size(), to);
    };
    replace(".norm1.", ".layernorm_before.");
    replace(".norm2.", ".layernorm_after.");
    replace(".mlp.fc1.", ".intermediate.dense.");
    replace(".mlp.fc2.", ".output.dense.");
    if (name != "embeddings.mask_token") file.emplace(theirs, tensor);
  }
  file.emplace("pooler.dense.weight", torch::ones({128, 128}));
  EXPECT_THAT(expect_same_network(file, "hf-vit", network).left_out, ElementsAre("pooler.dense.weight"));
  expect_same_network(under("vit.", file), "hf-vit", network);
}

TEST(WeightNames, TimmsRegistersGatesAndMissingTokensAreUnderstood) {
  auto registers = with_registers(tiny());
  for (const auto& options :
       {by_size(tiny(), true), registers, gated(registers), by_size(gated(tiny()), true)}) {
    auto network = drawn(options);
    const torch::NoGradGuard no_grad;
    set_zero(network, "mask_token");
    if (options.registers > 0) set_class_position_zero(network);
    auto file = timm(network);
    file.emplace("head.weight", torch::ones({10, 128}));
    file.emplace("fc_norm.bias", torch::ones({128}));
    const auto recognised = expect_same_network(file, "timm-dinov2", network);
    EXPECT_THAT(recognised.left_out, ElementsAre("fc_norm.bias", "head.weight"));
  }
}

TEST(WeightNames, PlainTransformersOfOtherMethodsAreComputedWithoutLayerScale) {
  const torch::NoGradGuard no_grad;
  auto dino = drawn(unscaled(tiny()));
  set_zero(dino, "mask_token");
  TensorMap plain = official(dino);
  plain.erase("mask_token");
  expect_same_network(plain, "dino", dino);

  auto checkpoint = under("teacher.backbone.", plain);
  checkpoint.merge(under("student.module.backbone.", plain));
  checkpoint.emplace("teacher.head.last_layer.weight_v", torch::ones({8, 4}));
  expect_same_network(checkpoint, "dino", dino);

  auto ibot_file = official(drawn(unscaled(tiny())));
  rename(ibot_file, "mask_token", "masked_embed");
  expect_same_network(ibot_file, "ibot", drawn(unscaled(tiny())));
}

TEST(WeightNames, FixedPositionsAreThoseOfMaeOrMoco) {
  const torch::NoGradGuard no_grad;
  auto options = by_size(unscaled(tiny()), false);
  auto mae = drawn(options);
  set_zero(mae, "mask_token");
  set_class_position_zero(mae);
  TensorMap encoder = official(mae);
  encoder.erase("mask_token");
  expect_same_network(encoder, "mae", mae);

  auto whole = under("model.", encoder);
  whole.emplace("model.mask_token", torch::ones({1, 1, 64}));
  whole.emplace("model.decoder_embed.weight", torch::ones({64, 128}));
  whole.emplace("model.decoder_blocks.0.norm1.weight", torch::ones({64}));
  EXPECT_THAT(
      expect_same_network(whole, "mae", mae).left_out,
      ElementsAre("model.decoder_blocks.0.norm1.weight", "model.decoder_embed.weight", "model.mask_token"));

  options.embed_dim = 384;
  options.heads = 12;
  auto moco = drawn(options);
  set_zero(moco, "mask_token");
  set_class_position_zero(moco);
  encoder = official(moco);
  encoder.erase("mask_token");
  EXPECT_THAT(refusal(encoder), HasSubstr("12 heads if it is of MoCo v3"));
  auto both = under("state_dict.module.base_encoder.", encoder);
  both.merge(under("state_dict.module.momentum_encoder.", encoder));
  both.emplace("state_dict.module.base_encoder.head.0.weight", torch::ones({8, 8}));
  both.emplace("state_dict.module.predictor.0.weight", torch::ones({8, 8}));
  expect_same_network(both, "moco-v3", moco);
}

TEST(WeightNames, HeadsAreGivenOrThoseOfThePublishedWidth) {
  auto options = tiny();
  options.heads = 8;
  const auto network = drawn(options);
  expect_same_network(official(network), "dinov2", network, 8);
  EXPECT_THAT(refusal(official(network), 3), HasSubstr("heads must divide the width 128, and 3 does not"));
  EXPECT_THAT(refusal(official(network), 0), HasSubstr("heads must divide the width 128"));
  options.embed_dim = 48;
  EXPECT_THAT(refusal(official(drawn(options))), HasSubstr("the number of heads is needed"));
  options = unscaled(tiny());
  options.embed_dim = 1280;
  options.depth = 1;
  auto huge = official(drawn(options));
  huge.erase("mask_token");
  EXPECT_EQ(recognise_weights(huge, std::nullopt).options.heads, 16);
}

TEST(WeightNames, EverythingThatDoesNotFitIsSaidAtOnceInTheFilesWords) {
  const auto network = drawn(by_size(tiny(), false));
  auto file = under("dinov2.", hugging_face(network, kOnDisk));
  file.erase("dinov2.encoder.layer.1.attention.attention.key.bias");
  file.erase("dinov2.layernorm.weight");
  file["dinov2.encoder.layer.0.mlp.fc1.weight"] = torch::ones({3, 5});
  file["dinov2.encoder.layer.0.attention.attention.value.weight"] = torch::ones({128, 64});
  file["dinov2.encoder.layer.0.norm1.bias"] = torch::ones({128}, torch::kInt64);
  file["dinov2.encoder.layer.0.norm3.bias"] = torch::ones({128});
  file["dinov2.encoder.layer.0.norm2.gamma"] = torch::ones({128});
  const auto message = refusal(file);
  for (const char* part :
       {"read as hf-dinov2", "missing dinov2.encoder.layer.1.attention.attention.key.bias",
        "missing dinov2.layernorm.weight",
        "dinov2.encoder.layer.0.mlp.fc1.weight is [3, 5], must be [512, 128]",
        "dinov2.encoder.layer.0.attention.attention.value.weight is [128, 64], must be [128, 128]",
        "dinov2.encoder.layer.0.norm1.bias is long int, must be a float type",
        "unknown dinov2.encoder.layer.0.norm3.bias", "unknown dinov2.encoder.layer.0.norm2.gamma"})
    EXPECT_THAT(message, HasSubstr(part));
  EXPECT_THAT(message, Not(HasSubstr("missing dinov2.embeddings")));
}

TEST(WeightNames, ABlockThatIsMissingOrTwiceIsNamed) {
  const auto network = drawn(tiny());
  auto file = official(network);
  rename(file, "blocks.1.norm1.weight", "blocks.2.norm1.weight");
  const auto message = refusal(file);
  for (const char* part : {"missing blocks.1.norm1.weight", "missing blocks.2.norm1.bias"})
    EXPECT_THAT(message, HasSubstr(part));
  file = official(network);
  file.emplace("blocks.0.1.norm1.weight", torch::ones({128}));
  EXPECT_THAT(refusal(file),
              HasSubstr("blocks.0.1.norm1.weight and blocks.1.norm1.weight are the same parameter"));
  file = official(network);
  file.emplace("module.cls_token", torch::ones({1, 1, 128}));
  EXPECT_THAT(refusal(file), HasSubstr("module.cls_token"));
  file = official(network);
  file.emplace("blocks.123456789012345678901.norm1.weight", torch::ones({128}));
  EXPECT_THAT(refusal(file), HasSubstr("unknown blocks.123456789012345678901.norm1.weight"));
}

TEST(WeightNames, WhatHasNoArchitectureIsRefusedWithItsReason) {
  const auto network = drawn(tiny());
  auto file = official(network);
  file["pos_embed"] = torch::ones({1, 1 + 3 * 4, 128});
  EXPECT_THAT(refusal(file), HasSubstr("must be a square table"));
  file["pos_embed"] = torch::ones({1, 9, 128});  // an official file without the class token's row
  EXPECT_THAT(refusal(file), HasSubstr("pos_embed is [1, 9, 128]"));
  file = official(network);
  file["patch_embed.proj.weight"] = torch::ones({128, 3, 4, 2});
  EXPECT_THAT(refusal(file), HasSubstr("patches must be square"));
  file = official(network);
  std::erase_if(file, [](const auto& entry) { return entry.first.starts_with("blocks."); });
  EXPECT_THAT(refusal(file), HasSubstr("no blocks"));
  file = under("first.", official(network));
  file.merge(under("second.", official(network)));
  EXPECT_THAT(refusal(file), HasSubstr("several networks, under 'first.', 'second.'"));
  EXPECT_THAT(refusal({{"conv1.weight", torch::ones({4, 3, 7, 7})}}), HasSubstr("the first is conv1.weight"));
  EXPECT_THAT(refusal({}), HasSubstr("no weights of a ViT"));
}

TEST(WeightNames, NetworksThatCannotBeComputedAreRefusedByName) {
  const auto one = torch::ones({1});
  const auto patches = torch::ones({8, 3, 4, 4});
  const std::vector<std::pair<TensorMap, std::vector<std::string>>> refused{
      {{{"visual.conv1.weight", patches}, {"visual.transformer.resblocks.0.attn.in_proj_weight", one}},
       {"CLIP", "a norm before its blocks", "1e-5", "quick GELU"}},
      {{{"vision_model.embeddings.patch_embedding.weight", patches},
        {"vision_model.pre_layrnorm.weight", one}},
       {"CLIP"}},
      {{{"patch_embed.proj.weight", patches}, {"cls_token", one}, {"norm_pre.weight", one}}, {"CLIP"}},
      {{{"vision_model.embeddings.patch_embedding.weight", patches}}, {"SigLIP", "no class token"}},
      {{{"patch_embed.proj.weight", patches},
        {"cls_token", one},
        {"blocks.0.gamma_1", one},
        {"blocks.0.attn.relative_position_bias_table", one}},
       {"BEiT", "relative position biases", "no bias of the keys"}},
      {{{"patch_embed.proj.weight", patches}, {"cls_token", one}, {"storage_tokens", one}},
       {"DINOv3", "RoPE"}},
      {{{"embeddings.patch_embeddings.weight", patches}, {"embeddings.cls_token", one}}, {"DINOv3"}},
      {{{"target_encoder.module.patch_embed.proj.weight", patches},
        {"encoder.module.patch_embed.proj.weight", patches},
        {"target_encoder.module.pos_embed", one}},
       {"I-JEPA", "class token"}},
      {{{"patch_embed.proj.weight", patches}, {"layers.0.blocks.0.norm1.weight", one}}, {"Swin", "windows"}},
  };
  for (const auto& [file, words] : refused)
    for (const auto& word : words) EXPECT_THAT(refusal(file), HasSubstr(word));
}

TEST(WeightNames, HuggingFacesNamesGoBackToTheSameNetwork) {
  for (const auto& options :
       {by_size(tiny(), false), with_registers(tiny()), by_size(gated(tiny()), false)}) {
    const auto network = drawn(options);
    const auto wanted = hugging_face(network, kOnDisk);
    const auto given = hugging_face_names(network);
    EXPECT_EQ(given.size(), wanted.size());
    for (const auto& [name, tensor] : given) {
      ASSERT_TRUE(wanted.contains(name)) << name;
      EXPECT_TRUE(torch::equal(tensor, wanted.at(name))) << name;
    }
    expect_same_network(TensorMap(given.begin(), given.end()), "hf-dinov2", network);
  }
  EXPECT_THROW(hugging_face_names(drawn(unscaled(tiny()))), std::invalid_argument);
}

TEST(WeightNames, TheReleasedSizesHaveTheirPublishedNumberOfParameters) {
  struct Release {
    std::int64_t width, depth, heads, registers;
    const char* ffn;
    std::size_t tensors, hugging_face_tensors;
    std::int64_t parameters;
  };
  for (const Release& release : {Release{384, 12, 6, 0, "mlp", 175, 223, 22'056'576},
                                 Release{768, 12, 12, 4, "mlp", 176, 224, 86'583'552},
                                 Release{1024, 24, 16, 0, "mlp", 343, 439, 304'368'640},
                                 Release{1536, 40, 24, 4, "swiglu", 568, 728, 1'136'486'912}}) {
    VisionTransformerOptions options;
    options.image_size = 518;
    options.embed_dim = release.width;
    options.depth = release.depth;
    options.heads = release.heads;
    options.registers = release.registers;
    options.ffn = release.ffn;
    const VisionTransformer network(options, torch::kMeta);
    const auto recognised = recognise_weights(official(network), std::nullopt);
    EXPECT_EQ(recognised.options.heads, release.heads);
    EXPECT_EQ(recognised.backbone.size(), release.tensors);
    EXPECT_EQ(hugging_face_names(network).size(), release.hugging_face_tensors);
    EXPECT_EQ(count_parameters(network.parameters()), release.parameters);
  }
}

}  // namespace
}  // namespace paddock::model
