// Files of every family, made from an official network by inverses written out here, without the tables under test.
#include "model/weight_names.h"

#include <gmock/gmock.h>

#include "model/vision_transformer.h"

namespace paddock::model {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

VisionTransformerOptions tiny() {
  VisionTransformerOptions options;
  options.image_height = options.image_width = 12;
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

// CLIP's vision tower, an official network with other options, under OpenAI's and Hugging Face's names.
struct ClipWords {
  std::string patches, class_token, positions, before, after, block, norm1, norm2, in, out;
};
const ClipWords kOpenAi{"conv1",
                        "class_embedding",
                        "positional_embedding",
                        "ln_pre",
                        "ln_post",
                        "transformer.resblocks.",
                        "ln_1",
                        "ln_2",
                        "mlp.c_fc",
                        "mlp.c_proj"};
const ClipWords kTransformers{"embeddings.patch_embedding",
                              "embeddings.class_embedding",
                              "embeddings.position_embedding.weight",
                              "pre_layrnorm",
                              "post_layernorm",
                              "encoder.layers.",
                              "layer_norm1",
                              "layer_norm2",
                              "mlp.fc1",
                              "mlp.fc2"};

TensorMap clip_tower(const VisionTransformer& network, const ClipWords& words) {
  const TensorMap source = official(network);
  TensorMap all{{words.patches + ".weight", source.at("patch_embed.proj.weight")},
                {words.class_token, source.at("cls_token").flatten()},
                {words.positions, source.at("pos_embed").squeeze(0)}};
  for (const std::string leaf : {".weight", ".bias"}) {
    all.emplace(words.before + leaf, source.at("norm_pre" + leaf));
    all.emplace(words.after + leaf, source.at("norm" + leaf));
    for (std::int64_t i = 0; i < network.options().depth; ++i) {
      const std::string theirs = words.block + std::to_string(i) + ".";
      const std::string ours = "blocks." + std::to_string(i) + ".";
      all.emplace(theirs + words.norm1 + leaf, source.at(ours + "norm1" + leaf));
      all.emplace(theirs + words.norm2 + leaf, source.at(ours + "norm2" + leaf));
      all.emplace(theirs + words.in + leaf, source.at(ours + "mlp.fc1" + leaf));
      all.emplace(theirs + words.out + leaf, source.at(ours + "mlp.fc2" + leaf));
      const auto qkv = source.at(ours + "attn.qkv" + leaf);
      const std::string attention = theirs + (words.patches == "conv1" ? "attn." : "self_attn.");
      all.emplace(attention + "out_proj" + leaf, source.at(ours + "attn.proj" + leaf));
      if (words.patches == "conv1") {
        all.emplace(attention + "in_proj_" + leaf.substr(1), qkv);
      } else {
        all.emplace(attention + "q_proj" + leaf, qkv.chunk(3)[0]);
        all.emplace(attention + "k_proj" + leaf, qkv.chunk(3)[1]);
        all.emplace(attention + "v_proj" + leaf, qkv.chunk(3)[2]);
      }
    }
  }
  return all;
}

// As Hugging Face's ViTModel and IJepaModel call it, on disk or in memory.
TensorMap hugging_face_plain(const VisionTransformer& network, bool in_memory) {
  const auto source = hugging_face(network, in_memory ? kInMemory : kOnDisk);
  TensorMap all;
  for (const auto& [name, tensor] : source) {
    std::string theirs = name;
    const auto replace = [&](const std::string& from, const std::string& to) {
      if (const auto at = theirs.find(from); at != std::string::npos) theirs.replace(at, from.size(), to);
    };
    replace(".norm1.", ".layernorm_before.");
    replace(".norm2.", ".layernorm_after.");
    if (in_memory) {
      replace("encoder.layer.", "layers.");
    } else {
      replace(".mlp.fc1.", ".intermediate.dense.");
      replace(".mlp.fc2.", ".output.dense.");
    }
    if (name != "embeddings.mask_token") all.emplace(theirs, tensor);
  }
  return all;
}

void expect_same_options(const VisionTransformerOptions& given, const VisionTransformerOptions& wanted) {
  EXPECT_EQ(given.image_height, wanted.image_height);
  EXPECT_EQ(given.image_width, wanted.image_width);
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
  EXPECT_EQ(given.class_token, wanted.class_token);
  EXPECT_EQ(given.patch_bias, wanted.patch_bias);
  EXPECT_EQ(given.pre_norm, wanted.pre_norm);
  EXPECT_EQ(given.activation, wanted.activation);
  EXPECT_EQ(given.ffn_hidden, wanted.ffn_hidden);
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

VisionTransformerOptions clip(bool antialias) {
  auto options = by_size(unscaled(tiny()), antialias);
  options.norm_epsilon = 1e-5;
  options.patch_bias = false;
  options.pre_norm = true;
  options.activation = "quick_gelu";
  return options;
}

VisionTransformerOptions ijepa() {
  auto options = by_size(unscaled(tiny()), false);
  options.class_token = false;
  return options;
}

// Of a family without a mask token, which is then zero.
VisionTransformer drawn_without_mask(const VisionTransformerOptions& options) {
  auto network = drawn(options);
  const torch::NoGradGuard no_grad;
  set_zero(network, "mask_token");
  return network;
}

TensorMap without_mask(TensorMap tensors) {
  tensors.erase("mask_token");
  return tensors;
}

// Positions as I-JEPA fixes them for the first patch: quarters of sines of 0 and cosines of 0.
void set_first_position_of_ijepa(VisionTransformer& network) {
  const torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : network.parameters())
    if (name == "pos_embed") {
      const std::int64_t quarter = tensor.size(2) / 4;
      for (std::int64_t q = 0; q < 4; ++q)
        tensor.select(1, 0).slice(1, q * quarter, (q + 1) * quarter).fill_(q % 2 == 0 ? 0. : 1.);
    }
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
  TensorMap file = hugging_face_plain(network, false);
  expect_same_network(hugging_face_plain(network, true), "hf-vit", network);
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

TEST(WeightNames, TheVisionTowerOfClipIsReadUnderThreeProjectsNames) {
  const auto network = drawn_without_mask(clip(false)), smoothed = drawn_without_mask(clip(true));
  const auto transformers = clip_tower(network, kTransformers), open_clip = clip_tower(smoothed, kOpenAi);
  EXPECT_TRUE(expect_same_network(transformers, "hf-clip", network).is_activation_assumed);
  EXPECT_TRUE(expect_same_network(open_clip, "open-clip", smoothed).is_activation_assumed);
  EXPECT_TRUE(
      expect_same_network(without_mask(official(smoothed)), "timm-clip", smoothed).is_activation_assumed);
  EXPECT_FALSE(recognise_weights(official(drawn(tiny())), std::nullopt).is_activation_assumed);
  // As Paddock writes it, with the mask token that every network here has.
  expect_same_network(official(drawn(clip(true))), "timm-clip", drawn(clip(true)));
  // Half precision, as OpenAI publishes it.
  TensorMap half;
  for (const auto& [name, tensor] : open_clip) half.emplace("visual." + name, tensor.to(torch::kHalf));
  const auto recognised = recognise_weights(half, std::nullopt);
  EXPECT_TRUE(torch::equal(recognised.backbone.at("cls_token").flatten(), half.at("visual.class_embedding")));
}

TEST(WeightNames, OpenClipsLayerScaleAndWidthsAreThoseOfTheFile) {
  auto options = clip(true);
  options.layerscale = 1e-5;
  options.ffn_hidden = 200;
  const auto network = drawn_without_mask(options);
  TensorMap file = clip_tower(network, kOpenAi);
  for (const std::string i : {"0", "1"})
    for (const std::string branch : {"1", "2"})
      file.emplace("transformer.resblocks." + i + ".ls_" + branch + ".gamma",
                   official(network).at("blocks." + i + ".ls" + branch + ".gamma"));
  expect_same_network(file, "open-clip", network);
  file["transformer.resblocks.1.mlp.c_fc.bias"] = torch::ones({512});
  EXPECT_THAT(refusal(file), HasSubstr("transformer.resblocks.1.mlp.c_fc.bias is [512], must be [200]"));
}

TEST(WeightNames, BesideTheVisionTowerOnlyWhatClipHasIsLeftOut) {
  const auto one = torch::ones({2});
  const auto network = drawn_without_mask(clip(false));
  auto file = under("vision_model.", clip_tower(network, kTransformers));
  for (const char* name : {"text_model.encoder.layers.0.mlp.fc1.weight", "text_projection.weight",
                           "visual_projection.weight", "logit_scale", "vision_model.embeddings.position_ids"})
    file.emplace(name, one);
  EXPECT_EQ(expect_same_network(file, "hf-clip", network).left_out.size(), 5u);
  file.emplace("text_models.weight", one);
  file.emplace("vision_model.embeddings.position_ids_2", one);
  EXPECT_THAT(refusal(file), AllOf(HasSubstr("unknown text_models.weight"),
                                   HasSubstr("unknown vision_model.embeddings.position_ids_2")));

  const auto smoothed = drawn_without_mask(clip(true));
  const std::vector<std::string> text{"positional_embedding",   "transformer.resblocks.0.ln_1.weight",
                                      "token_embedding.weight", "ln_final.bias",
                                      "text_projection",        "logit_scale",
                                      "input_resolution"};
  for (const std::string outer : {"", "state_dict.module."}) {
    auto whole = under(outer + "visual.", clip_tower(smoothed, kOpenAi));
    whole.emplace(outer + "visual.proj", one);
    for (const auto& name : text) whole.emplace(outer + name, one);
    EXPECT_EQ(expect_same_network(whole, "open-clip", smoothed).left_out.size(), text.size() + 1);
    whole.emplace(outer + "transformers.resblocks.0.ln_1.weight", one);
    EXPECT_THAT(refusal(whole), HasSubstr("unknown " + outer + "transformers.resblocks.0.ln_1.weight"));
  }
  auto trunk = under("visual.trunk.", without_mask(official(smoothed)));
  trunk.emplace("visual.head.proj.weight", one);
  trunk.emplace("text.transformer.resblocks.0.ln_1.weight", one);
  expect_same_network(trunk, "timm-clip", smoothed);
  // The same names beside something else are nobody's.
  auto other = official(drawn(tiny()));
  other.emplace("logit_scale", one);
  EXPECT_THAT(refusal(under("backbone.", other)), HasSubstr("unknown backbone.logit_scale"));
}

TEST(WeightNames, WhatClipLacksIsNamedAsItsFileWould) {
  const auto network = drawn_without_mask(clip(true));
  auto file = under("visual.", clip_tower(network, kOpenAi));
  file.erase("visual.ln_pre.weight");
  file.erase("visual.class_embedding");
  file.erase("visual.transformer.resblocks.1.attn.in_proj_bias");
  file["visual.positional_embedding"] = torch::ones({10, 64});
  file["visual.conv1.bias"] = torch::ones({128});
  file["visual.transformer.resblocks.0.attn.in_proj_weight"] = torch::ones({128, 128});
  file["visual.transformer.resblocks.0.attn.in_proj.weight"] = torch::ones({384, 128});
  const auto message = refusal(file);
  for (const char* part :
       {"read as open-clip", "missing visual.ln_pre.weight", "missing visual.class_embedding",
        "missing visual.transformer.resblocks.1.attn.in_proj_bias",
        "visual.positional_embedding is [10, 64], must be [10, 128]", "unknown visual.conv1.bias",
        "visual.transformer.resblocks.0.attn.in_proj_weight is [128, 128], must be [384, 128]",
        "unknown visual.transformer.resblocks.0.attn.in_proj.weight"})
    EXPECT_THAT(message, HasSubstr(part));
  auto flat = clip_tower(drawn_without_mask(clip(false)), kTransformers);
  flat["embeddings.position_embedding.weight"] = torch::ones({1, 10, 128});
  EXPECT_THAT(refusal(flat), HasSubstr("embeddings.position_embedding.weight is [1, 10, 128]"));
  flat["embeddings.position_embedding.weight"] = torch::ones({10, 128});
  flat.erase("encoder.layers.0.self_attn.k_proj.weight");
  flat.erase("embeddings.class_embedding");  // SigLIP has none
  EXPECT_THAT(refusal(flat), HasSubstr("SigLIP"));
  flat["embeddings.class_embedding"] = torch::ones({64});
  EXPECT_THAT(refusal(flat), AllOf(HasSubstr("missing encoder.layers.0.self_attn.k_proj.weight"),
                                   HasSubstr("embeddings.class_embedding is [64], must be [128]")));
}

TEST(WeightNames, IjepaIsTheTargetEncoderOfItsCheckpoint) {
  auto network = drawn_without_mask(ijepa());
  set_first_position_of_ijepa(network);
  const TensorMap encoder = without_mask(official(network));
  EXPECT_FALSE(encoder.contains("cls_token"));
  expect_same_network(encoder, "ijepa", network);
  auto other = drawn(ijepa());
  auto checkpoint = under("target_encoder.module.", encoder);
  checkpoint.merge(under("encoder.module.", without_mask(official(other))));
  for (const char* name : {"predictor.module.mask_token", "predictor.module.predictor_blocks.0.norm1.weight",
                           "opt.state.0.exp_avg", "scaler._growth_tracker"})
    checkpoint.emplace(name, torch::ones({1}));
  EXPECT_EQ(expect_same_network(checkpoint, "ijepa", network).left_out.size(), encoder.size() + 4);
  auto damaged = encoder;
  damaged.erase("blocks.1.mlp.fc2.bias");
  damaged.emplace("fc.weight", torch::ones({1}));
  EXPECT_THAT(refusal(damaged), AllOf(HasSubstr("read as ijepa"), HasSubstr("missing blocks.1.mlp.fc2.bias"),
                                      HasSubstr("unknown fc.weight")));
  // With a mask token it is a file of Paddock's.
  expect_same_network(official(other), "ijepa", other);
}

TEST(WeightNames, HuggingFacesIjepaHasNoClassToken) {
  const auto network = drawn_without_mask(ijepa());
  for (const bool in_memory : {false, true}) {
    const auto file = hugging_face_plain(network, in_memory);
    expect_same_network(file, "hf-ijepa", network);
    auto classifier = under("ijepa.", file);
    classifier.emplace("classifier.weight", torch::ones({10, 128}));
    EXPECT_THAT(expect_same_network(classifier, "hf-ijepa", network).left_out,
                ElementsAre("classifier.weight"));
  }
  auto lost = hugging_face_plain(drawn_without_mask(by_size(unscaled(tiny()), false)), false);
  lost.erase("embeddings.cls_token");
  EXPECT_THAT(refusal(lost), HasSubstr("missing embeddings.cls_token"));
}

TEST(WeightNames, WithoutAClassTokenLearnedPositionsAreNotIjepas) {
  const auto network = drawn_without_mask(ijepa());
  EXPECT_THAT(refusal(without_mask(official(network))),
              AllOf(HasSubstr("not I-JEPA"), HasSubstr("pos_embed is learned")));
  auto lost = official(drawn(tiny()));
  lost.erase("cls_token");
  EXPECT_THAT(refusal(lost), AllOf(HasSubstr("read as dinov2"), HasSubstr("missing cls_token")));
}

TEST(WeightNames, PublishedWidthsOfClipAndIjepaHaveTheirHeads) {
  for (const auto& [width, heads] : {std::pair<std::int64_t, std::int64_t>{768, 12},
                                     {1024, 16},
                                     {1280, 16},
                                     {1408, 16},
                                     {1664, 16},
                                     {1792, 16}}) {
    auto options = clip(true);
    options.embed_dim = width;
    options.heads = heads;
    options.ffn_hidden = width > 1280 ? 6144 : 0;
    const VisionTransformer network(options, torch::kMeta);
    const auto found = recognise_weights(clip_tower(network, kOpenAi), std::nullopt).options;
    EXPECT_EQ(found.heads, heads);
    EXPECT_EQ(found.ffn_hidden, options.ffn_hidden);
  }
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

TEST(WeightNames, ARectangularTableOfPositionsNeedsItsGrid) {
  auto options = tiny();
  options.image_height = 3 * 4;
  options.image_width = 5 * 4;
  const auto file = official(drawn(options));
  EXPECT_THAT(refusal(file), HasSubstr("pos_embed has 16 rows"));
  for (const Grid grid : {Grid{3, 5}, Grid{5, 3}, Grid{1, 15}}) {
    const auto recognised = recognise_weights(file, 2, grid);
    EXPECT_EQ(recognised.options.image_height, 4 * grid.rows);
    EXPECT_EQ(recognised.options.image_width, 4 * grid.columns);
    EXPECT_TRUE(torch::equal(recognised.backbone.at("pos_embed"), file.at("pos_embed")));
  }
  try {
    recognise_weights(file, 2, Grid{4, 4});
    ADD_FAILURE() << "a grid of another length fits";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("has 16 rows, but a class token and a grid of 4x4 patches need 17"));
  }
  // A square number of patches need not be a square of them.
  options.image_height = 2 * 4;
  options.image_width = 8 * 4;
  EXPECT_EQ(recognise_weights(official(drawn(options)), 2, Grid{2, 8}).options.image_width, 32);
}

TEST(WeightNames, ChannelsAreThoseOfThePatchEmbedding) {
  for (const std::int64_t channels : {1, 2, 4, 7}) {
    auto options = tiny();
    options.channels = channels;
    const auto network = drawn(options);
    const auto recognised = recognise_weights(official(network), 2);
    EXPECT_EQ(recognised.options.channels, channels);
    VisionTransformer loaded(recognised.options);
    load_weights(loaded.parameters(), recognised.backbone);
    const auto images = torch::randn({1, channels, 12, 12});
    EXPECT_TRUE(torch::equal(loaded.forward_features(images).prenorm_BTD,
                             network.forward_features(images).prenorm_BTD));
    EXPECT_THROW(loaded.forward_features(torch::zeros({1, channels + 1, 12, 12})), std::invalid_argument);
  }
}

TEST(WeightNames, WhatHasNoArchitectureIsRefusedWithItsReason) {
  const auto network = drawn(tiny());
  auto file = official(network);
  file["pos_embed"] = torch::ones({1, 1 + 3 * 4, 128});
  EXPECT_THAT(refusal(file), HasSubstr("pos_embed has 13 rows, which are no square and a class token"));
  file["pos_embed"] = torch::ones({1, 9, 128});  // an official file without the class token's row
  EXPECT_THAT(refusal(file), HasSubstr("pos_embed has 9 rows"));
  file["pos_embed"] = torch::ones({10, 128});
  EXPECT_THAT(refusal(file), HasSubstr("pos_embed is [10, 128]"));
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
      {{{"visual.conv1.weight", patches},
        {"visual.class_embedding", one},
        {"visual.transformer.resblocks.0.attn.in_proj_weight", one},
        {"visual.attn_pool.query", one}},
       {"CoCa", "pools by attention"}},
      {{{"vision_model.embeddings.patch_embedding.weight", patches}}, {"SigLIP", "no class token"}},
      {{{"patch_embed.proj.weight", patches},
        {"cls_token", one},
        {"blocks.0.gamma_1", one},
        {"blocks.0.attn.relative_position_bias_table", one}},
       {"BEiT", "relative position biases", "no bias of the keys"}},
      {{{"patch_embed.proj.weight", patches}, {"cls_token", one}, {"storage_tokens", one}},
       {"DINOv3", "RoPE"}},
      {{{"embeddings.patch_embeddings.weight", patches}, {"embeddings.cls_token", one}}, {"DINOv3"}},
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
  auto options = clip(true);
  options.layerscale = 1e-5;
  try {
    hugging_face_names(drawn(options));
    ADD_FAILURE() << "a network that Hugging Face's DINOv2 cannot compute was given its names";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("no bias of the patches, a norm before its blocks, quick GELU"));
  }
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
    options.image_height = options.image_width = 518;
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
