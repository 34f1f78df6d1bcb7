// tests/model/weight_cases.h – files of every family, made from an official network by inverses written out here, without the
// tables under test.
#pragma once

#include <gmock/gmock.h>

#include "model/vision_transformer.h"
#include "model/weight_names.h"

namespace paddock::model {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

inline VisionTransformerOptions tiny() {
  VisionTransformerOptions options;
  options.image_height = options.image_width = 12;
  options.patch_size = 4;
  options.embed_dim = 128;
  options.depth = 2;
  options.heads = 2;
  return options;
}

// Every parameter random, so that none can stand for another.
inline VisionTransformer drawn(const VisionTransformerOptions& options) {
  VisionTransformer network(options);
  network.initialize(7);
  torch::manual_seed(11);
  const torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : network.parameters())
    torch::Tensor(tensor).add_(torch::randn(tensor.sizes()), .05);
  return network;
}

inline void set_zero(VisionTransformer& network, const std::string& parameter) {
  for (auto& [name, tensor] : network.parameters())
    if (name == parameter) torch::Tensor(tensor).zero_();
}

inline void set_class_position_zero(VisionTransformer& network) {
  for (auto& [name, tensor] : network.parameters())
    if (name == "pos_embed") tensor.slice(1, 0, 1).zero_();
}

inline TensorMap official(const VisionTransformer& network) {
  TensorMap all;
  for (const auto& [name, tensor] : network.parameters()) all.emplace(name, tensor);
  return all;
}

inline void rename(TensorMap& tensors, const std::string& from, const std::string& to) {
  auto node = tensors.extract(from);
  ASSERT_FALSE(node.empty()) << from;
  node.key() = to;
  tensors.insert(std::move(node));
}

inline TensorMap under(const std::string& prefix, const TensorMap& tensors) {
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

inline TensorMap hugging_face(const VisionTransformer& network, const HuggingFaceWords& words) {
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

inline TensorMap timm(const VisionTransformer& network) {
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

inline TensorMap clip_tower(const VisionTransformer& network, const ClipWords& words) {
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
inline TensorMap hugging_face_plain(const VisionTransformer& network, bool in_memory) {
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

inline void expect_same_options(const VisionTransformerOptions& given,
                                const VisionTransformerOptions& wanted) {
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
inline RecognisedWeights expect_same_network(const TensorMap& file, const std::string& family,
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

inline std::string refusal(const TensorMap& file, std::optional<std::int64_t> heads = std::nullopt) {
  try {
    recognise_weights(file, heads);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "nothing was refused";
}

inline VisionTransformerOptions with_registers(VisionTransformerOptions options) {
  options.registers = 4;
  options.interpolate_antialias = true;
  options.interpolate_offset = 0;
  return options;
}

inline VisionTransformerOptions by_size(VisionTransformerOptions options, bool antialias) {
  options.interpolate_antialias = antialias;
  options.interpolate_offset = 0;
  return options;
}

inline VisionTransformerOptions gated(VisionTransformerOptions options) {
  options.ffn = "swiglu";
  return options;
}

inline VisionTransformerOptions unscaled(VisionTransformerOptions options) {
  options.layerscale = 0;
  return options;
}

inline VisionTransformerOptions clip(bool antialias) {
  auto options = by_size(unscaled(tiny()), antialias);
  options.norm_epsilon = 1e-5;
  options.patch_bias = false;
  options.pre_norm = true;
  options.activation = "quick_gelu";
  return options;
}

inline VisionTransformerOptions ijepa() {
  auto options = by_size(unscaled(tiny()), false);
  options.class_token = false;
  return options;
}

// Of a family without a mask token, which is then zero.
inline VisionTransformer drawn_without_mask(const VisionTransformerOptions& options) {
  auto network = drawn(options);
  const torch::NoGradGuard no_grad;
  set_zero(network, "mask_token");
  return network;
}

inline TensorMap without_mask(TensorMap tensors) {
  tensors.erase("mask_token");
  return tensors;
}

// Positions as I-JEPA fixes them for the first patch: quarters of sines of 0 and cosines of 0.
inline void set_first_position_of_ijepa(VisionTransformer& network) {
  const torch::NoGradGuard no_grad;
  for (auto& [name, tensor] : network.parameters())
    if (name == "pos_embed") {
      const std::int64_t quarter = tensor.size(2) / 4;
      for (std::int64_t q = 0; q < 4; ++q)
        tensor.select(1, 0).slice(1, q * quarter, (q + 1) * quarter).fill_(q % 2 == 0 ? 0. : 1.);
    }
}

}  // namespace paddock::model
