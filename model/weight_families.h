// model/weight_families.h – the tables behind weight_names.h: what each family of files calls the official parameters,
// what it may leave out or carry along, how its code resizes positions, and which networks are refused.
// A file is read by rules: a *pattern* is a name with its block's number as '*' and without a last ".weight" or ".bias",
// which both sides share; a rule that spells out such an end is about that name alone. Everything a rule does not name is
// unknown, and that is an error of the file.
// Sources: the constructors of facebookresearch/{dinov2,dino,mae,moco-v3,ijepa}, bytedance/ibot, openai/CLIP, open_clip,
// timm, transformers.
// Threads: pure functions of constant tables.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/vision_transformer.h"

namespace paddock::model {

// A name at its dots, and back.
std::vector<std::string> segments_of(const std::string& name);
std::string joined_segments(const std::vector<std::string>& segments);

// "blocks.3.norm1.weight": pattern "blocks.*.norm1", block "3", leaf ".weight". Where two numbers follow each other the
// file numbers its blocks within chunks, and the second is the block's.
struct ParsedName {
  std::string pattern, block, leaf;
};
ParsedName parsed_name(const std::string& name);

struct NameRule {
  std::string_view theirs;    // pattern in the file
  std::string_view official;  // pattern in VisionTransformer::parameters()
  int part = 0;  // of `parts` equal blocks of rows that the file keeps apart: q, k and v are 0, 1, 2 of 3
  int parts = 1;
  int leading_ones = 0;  // dimensions of one, the first of the official shape, that the file leaves out
};
// What the rule calls the tensor that the other side calls `name`; empty: it is about another one.
std::optional<std::string> official_name(const NameRule& rule, const ParsedName& name);
std::optional<std::string> their_name(const NameRule& rule, const ParsedName& name);

// How a family's own code resizes the table of positions to another grid.
struct Resizing {
  bool antialias = false;
  double offset = 0;
};

struct WeightFamily {
  std::string_view name;
  std::vector<NameRule> rules;
  bool needs_mask_token = false;  // otherwise zeros where the file has none
  Resizing plain, with_registers;
  // Width of a head is 64 in every model of the family; otherwise only in those that heads_of_width() does not list.
  bool has_heads_of_64 = false;
  double norm_epsilon = 1e-6;
  std::vector<std::string_view> left_out = {};  // names within the backbone that are knowingly unused
  // What its networks do otherwise than DINOv2's, as in VisionTransformerOptions.
  bool class_token = true, patch_bias = true, pre_norm = false;
  bool has_any_hidden = false;  // the width inside the feed-forward is what the first block has, not 4·D
  std::string_view activation = "gelu";
  bool is_activation_assumed = false;  // networks of both kinds go by these names; `activation` is OpenAI's
};

// What the names (and one number) say about a file's family.
struct FamilySigns {
  bool is_hugging_face = false;       // embeddings.…, encoder.layer.…
  bool has_layernorm_before = false;  // its ViTModel and IJepaModel
  bool is_hugging_face_clip = false;  // embeddings.patch_embedding, encoder.layers.…
  bool is_open_clip = false;          // conv1, transformer.resblocks.…
  bool has_norm_pre = false;          // timm's CLIP
  // No class token, and no row for one in the table of positions.
  bool is_without_class_token = false;
  bool has_names_in_memory = false;  // its names in memory since transformers 5: q_proj, gate_proj
  bool has_mask_token = false, has_register_tokens = false, has_timm_registers = false,
       has_layerscale = false;
  bool has_masked_embed = false, has_second_prototypes = false;  // iBOT
  bool has_prototypes = false;                                   // DINO's head.last_layer
  bool has_decoder = false;                                      // MAE
  bool has_base_encoder = false;                                 // MoCo v3
  bool is_feed_forward_packed = false;                           // gate and value in mlp.fc1: timm's SwiGLU
  bool is_class_position_zero = false;  // sine-cosine positions: the class token's row is exactly zero
};

// The family of a network that has a table of positions.
WeightFamily family_of(const FamilySigns& signs);

// Hugging Face's names on disk, in the order of the parameters they make.
std::span<const NameRule> hugging_face_rules();

// The number of heads of the published models of this width where a head is not 64 wide: ViT-H has 16 of 80. Empty: no
// such model is known.
std::optional<std::int64_t> heads_of_width(std::string_view family, std::int64_t embed_dim);

// Whether `name` stands beside a vision tower under `prefix` in a file of CLIP: text tower, projections, temperature.
bool is_beside_tower(std::string_view prefix, std::string_view name);

// A first segment of a name that belongs to heads, decoders, losses or optimisers: never part of a backbone.
bool is_left_out(std::string_view segment);

// Why these names cannot be computed by VisionTransformer: one sentence that names the family and what differs. Empty:
// nothing speaks against it.
std::optional<std::string> refusal_of(const std::vector<std::string>& names);

}  // namespace paddock::model
