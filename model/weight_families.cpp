#include "model/weight_families.h"

#include <algorithm>
#include <array>
#include <sstream>

namespace paddock::model {
namespace {

constexpr auto kTrunk = std::to_array<NameRule>({
    {"cls_token", "cls_token"},
    {"pos_embed", "pos_embed"},
    {"patch_embed.proj", "patch_embed.proj"},
    {"blocks.*.norm1", "blocks.*.norm1"},
    {"blocks.*.attn.qkv", "blocks.*.attn.qkv"},
    {"blocks.*.attn.proj", "blocks.*.attn.proj"},
    {"blocks.*.norm2", "blocks.*.norm2"},
    {"norm", "norm"},
});
constexpr auto kLayerScale = std::to_array<NameRule>({
    {"blocks.*.ls1.gamma", "blocks.*.ls1.gamma"},
    {"blocks.*.ls2.gamma", "blocks.*.ls2.gamma"},
});
constexpr auto kPerceptron = std::to_array<NameRule>({
    {"blocks.*.mlp.fc1", "blocks.*.mlp.fc1"},
    {"blocks.*.mlp.fc2", "blocks.*.mlp.fc2"},
});
constexpr auto kGated = std::to_array<NameRule>({
    {"blocks.*.mlp.w12", "blocks.*.mlp.w12"},
    {"blocks.*.mlp.w3", "blocks.*.mlp.w3"},
});
constexpr auto kPackedGated = std::to_array<NameRule>({
    {"blocks.*.mlp.fc1", "blocks.*.mlp.w12"},
    {"blocks.*.mlp.fc2", "blocks.*.mlp.w3"},
});
constexpr auto kOfficialTokens = std::to_array<NameRule>({
    {"mask_token", "mask_token"},
    {"register_tokens", "register_tokens"},
});
constexpr auto kTimmRegisters = std::to_array<NameRule>({{"reg_token", "register_tokens"}});
constexpr auto kIbotMask = std::to_array<NameRule>({{"masked_embed", "mask_token"}});

constexpr auto kHuggingFaceTrunk = std::to_array<NameRule>({
    {"embeddings.cls_token", "cls_token"},
    {"embeddings.mask_token", "mask_token"},
    {"embeddings.register_tokens", "register_tokens"},
    {"embeddings.position_embeddings", "pos_embed"},
    {"embeddings.patch_embeddings.projection", "patch_embed.proj"},
    {"encoder.layer.*.norm1", "blocks.*.norm1"},
    {"encoder.layer.*.layer_scale1.lambda1", "blocks.*.ls1.gamma"},
    {"encoder.layer.*.norm2", "blocks.*.norm2"},
    {"encoder.layer.*.mlp.fc1", "blocks.*.mlp.fc1"},
    {"encoder.layer.*.mlp.fc2", "blocks.*.mlp.fc2"},
    {"encoder.layer.*.layer_scale2.lambda1", "blocks.*.ls2.gamma"},
    {"layernorm", "norm"},
});
constexpr auto kHuggingFaceOnDisk = std::to_array<NameRule>({
    {"encoder.layer.*.attention.attention.query", "blocks.*.attn.qkv", 0, 3},
    {"encoder.layer.*.attention.attention.key", "blocks.*.attn.qkv", 1, 3},
    {"encoder.layer.*.attention.attention.value", "blocks.*.attn.qkv", 2, 3},
    {"encoder.layer.*.attention.output.dense", "blocks.*.attn.proj"},
    {"encoder.layer.*.mlp.weights_in", "blocks.*.mlp.w12"},
    {"encoder.layer.*.mlp.weights_out", "blocks.*.mlp.w3"},
});
constexpr auto kHuggingFaceInMemory = std::to_array<NameRule>({
    {"encoder.layer.*.attention.q_proj", "blocks.*.attn.qkv", 0, 3},
    {"encoder.layer.*.attention.k_proj", "blocks.*.attn.qkv", 1, 3},
    {"encoder.layer.*.attention.v_proj", "blocks.*.attn.qkv", 2, 3},
    {"encoder.layer.*.attention.o_proj", "blocks.*.attn.proj"},
    {"encoder.layer.*.mlp.gate_proj", "blocks.*.mlp.w12", 0, 2},
    {"encoder.layer.*.mlp.up_proj", "blocks.*.mlp.w12", 1, 2},
    {"encoder.layer.*.mlp.down_proj", "blocks.*.mlp.w3"},
});

constexpr auto kHuggingFacePlain = std::to_array<NameRule>({
    {"embeddings.cls_token", "cls_token"},
    {"embeddings.position_embeddings", "pos_embed"},
    {"embeddings.patch_embeddings.projection", "patch_embed.proj"},
    {"layernorm", "norm"},
});
constexpr auto kHuggingFacePlainOnDisk = std::to_array<NameRule>({
    {"encoder.layer.*.layernorm_before", "blocks.*.norm1"},
    {"encoder.layer.*.attention.attention.query", "blocks.*.attn.qkv", 0, 3},
    {"encoder.layer.*.attention.attention.key", "blocks.*.attn.qkv", 1, 3},
    {"encoder.layer.*.attention.attention.value", "blocks.*.attn.qkv", 2, 3},
    {"encoder.layer.*.attention.output.dense", "blocks.*.attn.proj"},
    {"encoder.layer.*.layernorm_after", "blocks.*.norm2"},
    {"encoder.layer.*.intermediate.dense", "blocks.*.mlp.fc1"},
    {"encoder.layer.*.output.dense", "blocks.*.mlp.fc2"},
});
constexpr auto kHuggingFacePlainInMemory = std::to_array<NameRule>({
    {"layers.*.layernorm_before", "blocks.*.norm1"},
    {"layers.*.attention.q_proj", "blocks.*.attn.qkv", 0, 3},
    {"layers.*.attention.k_proj", "blocks.*.attn.qkv", 1, 3},
    {"layers.*.attention.v_proj", "blocks.*.attn.qkv", 2, 3},
    {"layers.*.attention.o_proj", "blocks.*.attn.proj"},
    {"layers.*.layernorm_after", "blocks.*.norm2"},
    {"layers.*.mlp.fc1", "blocks.*.mlp.fc1"},
    {"layers.*.mlp.fc2", "blocks.*.mlp.fc2"},
});

constexpr auto kTimmPreNorm = std::to_array<NameRule>({{"norm_pre", "norm_pre"}});
constexpr auto kHuggingFaceClip = std::to_array<NameRule>({
    {"embeddings.class_embedding", "cls_token", 0, 1, 2},
    {"embeddings.position_embedding.weight", "pos_embed", 0, 1, 1},
    {"embeddings.patch_embedding", "patch_embed.proj"},
    {"pre_layrnorm", "norm_pre"},
    {"encoder.layers.*.layer_norm1", "blocks.*.norm1"},
    {"encoder.layers.*.self_attn.q_proj", "blocks.*.attn.qkv", 0, 3},
    {"encoder.layers.*.self_attn.k_proj", "blocks.*.attn.qkv", 1, 3},
    {"encoder.layers.*.self_attn.v_proj", "blocks.*.attn.qkv", 2, 3},
    {"encoder.layers.*.self_attn.out_proj", "blocks.*.attn.proj"},
    {"encoder.layers.*.layer_norm2", "blocks.*.norm2"},
    {"encoder.layers.*.mlp.fc1", "blocks.*.mlp.fc1"},
    {"encoder.layers.*.mlp.fc2", "blocks.*.mlp.fc2"},
    {"post_layernorm", "norm"},
});
constexpr auto kOpenClip = std::to_array<NameRule>({
    {"class_embedding", "cls_token", 0, 1, 2},
    {"positional_embedding", "pos_embed", 0, 1, 1},
    {"conv1", "patch_embed.proj"},
    {"ln_pre", "norm_pre"},
    {"transformer.resblocks.*.ln_1", "blocks.*.norm1"},
    {"transformer.resblocks.*.attn.in_proj_weight", "blocks.*.attn.qkv.weight"},
    {"transformer.resblocks.*.attn.in_proj_bias", "blocks.*.attn.qkv.bias"},
    {"transformer.resblocks.*.attn.out_proj", "blocks.*.attn.proj"},
    {"transformer.resblocks.*.ls_1.gamma", "blocks.*.ls1.gamma"},
    {"transformer.resblocks.*.ln_2", "blocks.*.norm2"},
    {"transformer.resblocks.*.mlp.c_fc", "blocks.*.mlp.fc1"},
    {"transformer.resblocks.*.mlp.c_proj", "blocks.*.mlp.fc2"},
    {"transformer.resblocks.*.ls_2.gamma", "blocks.*.ls2.gamma"},
    {"ln_post", "norm"},
});

template <typename... Tables>
std::vector<NameRule> joined(const Tables&... tables) {
  std::vector<NameRule> all;
  (all.insert(all.end(), tables.begin(), tables.end()), ...);
  return all;
}

// As the codes of DINO, iBOT and DINOv2 do it, which agree; and those of MAE and MoCo v3, which never resize while
// training: by size, as MAE's fine-tuning.
constexpr Resizing kByScale{false, .1}, kBySize{false, 0}, kBySizeSmoothed{true, 0};

constexpr auto kLeftOut = std::to_array<std::string_view>({
    "head",         "heads",        "head_dist",    "fc_norm",     "classifier",      "linear_head",
    "dino_head",    "ibot_head",    "decode_head",  "decoder",     "decoder_embed",   "decoder_pos_embed",
    "decoder_norm", "decoder_pred", "predictor",    "dino_loss",   "ibot_patch_loss", "ibot_loss",
    "koleo_loss",   "optimizer",    "lr_scheduler", "fp16_scaler", "scaler",          "decoder_blocks",
    "pooler",       "opt",
});

// Where a file of CLIP keeps its vision tower, and the first segments of what stands beside it: OpenCLIP's names of the
// text tower, with what OpenAI's archives say of themselves, and Hugging Face's.
constexpr auto kTowers = std::to_array<std::string_view>({"visual.trunk.", "visual.", "vision_model."});
constexpr auto kBesideTower = std::to_array<std::string_view>({
    "text",
    "transformer",
    "token_embedding",
    "positional_embedding",
    "ln_final",
    "attn_mask",
    "text_projection",
    "logit_scale",
    "logit_bias",
    "input_resolution",
    "context_length",
    "vocab_size",
    "text_model",
    "visual_projection",
});

// A mark is found where a segment of a name begins.
struct Refusal {
  std::vector<std::string_view> any_of, none_of;
  std::string_view sentence;
};

const std::vector<Refusal>& refusals() {
  static const std::vector<Refusal> all{
      {{"visual.attn_pool."},
       {},
       "these are weights of CoCa, which this network cannot compute: CoCa pools by attention"},
      {{"attn_pool.", "embeddings.patch_embedding."},
       {"embeddings.class_embedding"},
       "these are weights of SigLIP, which this network cannot compute: SigLIP has no class token, pools by "
       "attention and uses the tanh form of GELU"},
      {{"relative_position_bias", "lambda_1"},
       {},
       "these are weights of BEiT, which this network cannot compute: BEiT has relative position biases in "
       "the attention of each block, in place of a table of positions, and no bias of the keys"},
      {{"gamma_1", "q_bias", "rope", "storage_tokens", "embeddings.patch_embeddings.weight"},
       {},
       "these are weights of DINOv3 or EVA, which this network cannot compute: they rotate queries and keys "
       "by position (RoPE) and have no bias of the keys"},
      {{"layers.0.blocks."},
       {},
       "these are weights of Swin, which this network cannot compute: Swin attends within windows and "
       "merges patches between stages"},
  };
  return all;
}

bool begins_a_segment(std::string_view name, std::string_view mark) {
  for (auto at = name.find(mark); at != std::string_view::npos; at = name.find(mark, at + 1))
    if (at == 0 || name[at - 1] == '.') return true;
  return false;
}

bool spells_out_an_end(std::string_view pattern) {
  return pattern.ends_with(".weight") || pattern.ends_with(".bias");
}

std::optional<std::string> translated(const NameRule& rule, std::string_view from, std::string_view to,
                                      const ParsedName& name) {
  const bool is_whole = spells_out_an_end(rule.theirs) || spells_out_an_end(rule.official);
  if (from != (is_whole ? name.pattern + name.leaf : name.pattern)) return std::nullopt;
  std::string result(to);
  if (const auto star = result.find('*'); star != std::string::npos) result.replace(star, 1, name.block);
  return is_whole ? result : result + name.leaf;
}

// Those of CLIP, which differ in names alone.
WeightFamily clip_family(std::string_view name, std::vector<NameRule> rules, Resizing resizing) {
  WeightFamily family{name, std::move(rules), false, resizing, resizing, false};
  family.norm_epsilon = 1e-5;
  family.patch_bias = false;
  family.pre_norm = true;
  family.has_any_hidden = true;
  family.activation = "quick_gelu";
  family.is_activation_assumed = true;
  return family;
}

WeightFamily ijepa_family(std::string_view name, std::vector<NameRule> rules) {
  WeightFamily family{name, std::move(rules), false, kBySize, kBySize, false};
  family.class_token = false;
  family.has_any_hidden = true;
  return family;
}

std::optional<WeightFamily> hugging_face_family(const FamilySigns& signs) {
  if (signs.has_layernorm_before) {
    auto rules = signs.has_names_in_memory ? joined(kHuggingFacePlain, kHuggingFacePlainInMemory)
                                           : joined(kHuggingFacePlain, kHuggingFacePlainOnDisk);
    if (signs.is_without_class_token) return ijepa_family("hf-ijepa", std::move(rules));
    return WeightFamily{"hf-vit", std::move(rules), false, kBySize, kBySize, false, 1e-12};
  }
  if (!signs.is_hugging_face) return std::nullopt;
  return WeightFamily{"hf-dinov2",
                      signs.has_names_in_memory ? joined(kHuggingFaceTrunk, kHuggingFaceInMemory)
                                                : joined(kHuggingFaceTrunk, kHuggingFaceOnDisk),
                      false,
                      kBySize,
                      kBySizeSmoothed,
                      true};
}

WeightFamily mae_family() {
  WeightFamily family{"mae", joined(kTrunk, kPerceptron), false, kBySize, kBySize, false};
  family.left_out = {"mask_token"};  // the decoder's, of the decoder's width
  return family;
}

}  // namespace

std::vector<std::string> segments_of(const std::string& name) {
  std::vector<std::string> segments;
  std::istringstream in(name);
  for (std::string segment; std::getline(in, segment, '.');) segments.push_back(segment);
  return segments;
}

std::string joined_segments(const std::vector<std::string>& segments) {
  std::string name;
  for (const auto& segment : segments) name += (name.empty() ? "" : ".") + segment;
  return name;
}

ParsedName parsed_name(const std::string& name) {
  ParsedName result;
  auto segments = segments_of(name);
  if (segments.size() > 1 && (segments.back() == "weight" || segments.back() == "bias")) {
    result.leaf = "." + segments.back();
    segments.pop_back();
  }
  // Three digits bound what a damaged name can make the network allocate; no ViT is that deep.
  const auto is_number = [](const std::string& s) {
    return !s.empty() && s.size() <= 3 && s.find_first_not_of("0123456789") == std::string::npos &&
           (s == "0" || s[0] != '0');
  };
  const auto number = std::ranges::find_if(segments, is_number);
  if (number != segments.end()) {
    const auto next = number + 1;
    if (next != segments.end() && is_number(*next)) segments.erase(number);
    const auto block = std::ranges::find_if(segments, is_number);
    result.block = *block;
    *block = "*";
  }
  result.pattern = joined_segments(segments);
  return result;
}

std::optional<std::string> official_name(const NameRule& rule, const ParsedName& name) {
  return translated(rule, rule.theirs, rule.official, name);
}

std::optional<std::string> their_name(const NameRule& rule, const ParsedName& name) {
  return translated(rule, rule.official, rule.theirs, name);
}

WeightFamily family_of(const FamilySigns& signs) {
  if (const auto family = hugging_face_family(signs)) return *family;
  // transformers resizes positions without smoothing, OpenCLIP and timm with it.
  if (signs.is_hugging_face_clip) {
    auto family = clip_family("hf-clip", joined(kHuggingFaceClip), kBySize);
    family.left_out = {"embeddings.position_ids"};  // 0, 1, 2, …
    return family;
  }
  if (signs.is_open_clip) {
    auto family = clip_family("open-clip", joined(kOpenClip), kBySizeSmoothed);
    family.left_out = {"proj"};  // of the class token into the space shared with the text
    return family;
  }
  // The last two also as Paddock writes them, with the mask token that every network here has.
  if (signs.has_norm_pre)
    return clip_family("timm-clip", joined(kTrunk, kLayerScale, kPerceptron, kTimmPreNorm, kOfficialTokens),
                       kBySizeSmoothed);
  if (signs.is_without_class_token && !signs.has_layerscale && !signs.has_timm_registers)
    return ijepa_family("ijepa", joined(kTrunk, kPerceptron, kOfficialTokens));
  if (signs.has_base_encoder) return {"moco-v3", joined(kTrunk, kPerceptron), false, kBySize, kBySize, false};
  if (signs.has_decoder) return mae_family();
  if (signs.has_masked_embed || signs.has_second_prototypes)
    return {"ibot", joined(kTrunk, kPerceptron, kIbotMask), false, kByScale, kByScale, false};
  if (signs.has_mask_token || signs.has_register_tokens)
    return {"dinov2",
            joined(kTrunk, kLayerScale, kPerceptron, kGated, kOfficialTokens),
            true,
            kByScale,
            kBySizeSmoothed,
            true};
  if (signs.has_layerscale || signs.has_timm_registers)
    return {"timm-dinov2",
            signs.is_feed_forward_packed ? joined(kTrunk, kLayerScale, kPackedGated, kTimmRegisters)
                                         : joined(kTrunk, kLayerScale, kPerceptron, kTimmRegisters),
            false,
            kBySizeSmoothed,
            kBySizeSmoothed,
            false};
  if (signs.is_class_position_zero && !signs.has_prototypes) return mae_family();
  return {"dino", joined(kTrunk, kPerceptron), false, kByScale, kByScale, false};
}

std::span<const NameRule> hugging_face_rules() {
  static const std::vector<NameRule> rules = joined(kHuggingFaceTrunk, kHuggingFaceOnDisk);
  return rules;
}

std::optional<std::int64_t> heads_of_width(std::string_view family, std::int64_t embed_dim) {
  if (family == "moco-v3" && embed_dim == 384) return 12;
  for (const std::int64_t width : {1152, 1280, 1408, 1664, 1792})
    if (embed_dim == width) return 16;
  return std::nullopt;
}

bool is_beside_tower(std::string_view prefix, std::string_view name) {
  for (const std::string_view tower : kTowers) {
    if (!prefix.ends_with(tower)) continue;
    const std::string_view model = prefix.substr(0, prefix.size() - tower.size());
    if (!(model.empty() || model.ends_with('.')) || !name.starts_with(model)) continue;
    const std::string_view rest = name.substr(model.size());
    return std::ranges::any_of(kBesideTower, [&](std::string_view first) {
      return rest == first || (rest.starts_with(first) && rest[first.size()] == '.');
    });
  }
  return false;
}

bool is_left_out(std::string_view segment) {
  return std::ranges::find(kLeftOut, segment) != kLeftOut.end();
}

std::optional<std::string> refusal_of(const std::vector<std::string>& names) {
  const auto has_any = [&](const std::vector<std::string_view>& marks) {
    return std::ranges::any_of(marks, [&](std::string_view mark) {
      return std::ranges::any_of(names,
                                 [&](const std::string& name) { return begins_a_segment(name, mark); });
    });
  };
  for (const Refusal& refusal : refusals())
    if (has_any(refusal.any_of) && !has_any(refusal.none_of)) return std::string(refusal.sentence);
  return std::nullopt;
}

}  // namespace paddock::model
