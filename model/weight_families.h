// model/weight_families.h – the tables behind weight_names.h: what each family of files calls the official parameters,
// what it may leave out or carry along, how its code resizes positions, and which networks are refused.
// A file is read by rules of two forms: a *pattern* is a name with its block's number as '*' and without a last
// ".weight" or ".bias"; everything a rule does not name is unknown, and that is an error of the file.
// Sources: the constructors of facebookresearch/{dinov2,dino,mae,moco-v3}, bytedance/ibot, timm, transformers.
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
// The name of that pattern with the block and leaf of `like`.
std::string filled(std::string_view pattern, const ParsedName& like);

struct NameRule {
  std::string_view theirs;    // pattern in the file
  std::string_view official;  // pattern in VisionTransformer::parameters()
  int part = 0;  // of `parts` equal blocks of rows that the file keeps apart: q, k and v are 0, 1, 2 of 3
  int parts = 1;
};

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
};

// What the names (and one number) say about a file's family.
struct FamilySigns {
  bool is_hugging_face = false;       // embeddings.…, encoder.layer.…
  bool has_layernorm_before = false;  // its ViTModel
  bool has_names_in_memory = false;   // its names in memory since transformers 5: q_proj, gate_proj
  bool has_mask_token = false, has_register_tokens = false, has_timm_registers = false,
       has_layerscale = false;
  bool has_masked_embed = false, has_second_prototypes = false;  // iBOT
  bool has_prototypes = false;                                   // DINO's head.last_layer
  bool has_decoder = false;                                      // MAE
  bool has_base_encoder = false;                                 // MoCo v3
  bool is_feed_forward_packed = false;                           // gate and value in mlp.fc1: timm's SwiGLU
  bool is_class_position_zero = false;  // sine-cosine positions: the class token's row is exactly zero
};

// The family of a network that has a class token and a table of positions.
WeightFamily family_of(const FamilySigns& signs);

// Hugging Face's names on disk, in the order of the parameters they make.
std::span<const NameRule> hugging_face_rules();

// The number of heads of the published models of this width where a head is not 64 wide: ViT-H has 16 of 80. Empty: no
// such model is known.
std::optional<std::int64_t> heads_of_width(std::string_view family, std::int64_t embed_dim);

// A first segment of a name that belongs to heads, decoders, losses or optimisers: never part of a backbone.
bool is_left_out(std::string_view segment);

// Why these names cannot be computed by VisionTransformer: one sentence that names the family and what differs. Empty:
// nothing speaks against it.
std::optional<std::string> refusal_of(const std::vector<std::string>& names);

}  // namespace paddock::model
