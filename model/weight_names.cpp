#include "model/weight_names.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <sstream>
#include <stdexcept>

#include "model/weight_families.h"
#include "model/weight_file.h"

namespace paddock::model {
namespace {

std::string shape_of(at::IntArrayRef sizes) {
  std::ostringstream out;
  out << sizes;
  return out.str();
}

std::int64_t square_root(std::int64_t value) {
  const auto root = static_cast<std::int64_t>(std::llround(std::sqrt(static_cast<double>(value))));
  return root * root == value ? root : 0;
}

bool is_table(const torch::Tensor& table) {
  return table.dim() == 3 && table.size(0) == 1 && table.size(1) > 0;
}

// Whether a table of that many rows has one a patch and no other; `grid` as recognise_weights has it.
bool is_of_patches_alone(const torch::Tensor& table, const std::optional<Grid>& grid) {
  if (!is_table(table)) return false;
  const std::int64_t rows = table.size(1);
  return grid ? rows == grid->rows * grid->columns : square_root(rows) > 0;
}

// Of the first patch, whose row and column are 0: sin 0 and cos 0, by quarters of the width.
bool begins_as_sines_and_cosines(const torch::Tensor& table) {
  if (!is_table(table) || table.size(2) % 4 != 0) return false;
  const auto quarters = table.select(1, 0).reshape({4, -1}).to(torch::kFloat32);
  return quarters.equal(torch::tensor({0., 1., 0., 1.}).to(torch::kFloat32).unsqueeze(1).expand_as(quarters));
}

bool is_first_row_zero(const torch::Tensor& table) {
  return table.dim() == 3 && table.size(0) == 1 && table.size(1) > 1 &&
         !table.select(1, 0).any().item<bool>();
}

FamilySigns signs_of(const WeightFile& file, const std::optional<Grid>& grid) {
  const auto& backbone = file.backbone;
  const auto has = [&](const std::string& name) { return backbone.contains(name); };
  const auto has_anywhere = [&](std::string_view part) {
    return std::ranges::any_of(file.names,
                               [&](const std::string& name) { return name.find(part) != std::string::npos; });
  };
  FamilySigns signs;
  signs.is_hugging_face = has(kHuggingFacePatchWeights);
  signs.is_hugging_face_clip = has(kHuggingFaceClipPatchWeights);
  signs.is_open_clip = has(kOpenClipPatchWeights);
  signs.has_norm_pre = has("norm_pre.weight");
  const auto has_patches_alone = [&](const std::string& positions, const std::string& class_token) {
    const auto table = backbone.find(positions);
    return table != backbone.end() && !has(class_token) && is_of_patches_alone(table->second.tensor, grid);
  };
  signs.is_without_class_token = has_patches_alone("pos_embed", "cls_token") ||
                                 has_patches_alone("embeddings.position_embeddings", "embeddings.cls_token");
  for (const auto& [name, tensor] : backbone) {
    if (name.ends_with(".attention.q_proj.weight")) signs.has_names_in_memory = true;
    if (name.ends_with(".layernorm_before.weight")) signs.has_layernorm_before = true;
    if (name.ends_with(".ls1.gamma")) signs.has_layerscale = true;
  }
  signs.has_mask_token = has("mask_token");
  signs.has_register_tokens = has("register_tokens");
  signs.has_timm_registers = has("reg_token");
  signs.has_masked_embed = has("masked_embed");
  signs.has_second_prototypes = has_anywhere("head.last_layer2.");
  signs.has_prototypes = has_anywhere("head.last_layer.");
  signs.has_decoder = has_anywhere("decoder_embed.");
  signs.has_base_encoder = file.prefix.find("base_encoder.") != std::string::npos;
  const auto in = backbone.find("blocks.0.mlp.fc1.weight"), out = backbone.find("blocks.0.mlp.fc2.weight");
  signs.is_feed_forward_packed = in != backbone.end() && out != backbone.end() &&
                                 in->second.tensor.dim() == 2 && out->second.tensor.dim() == 2 &&
                                 in->second.tensor.size(0) == 2 * out->second.tensor.size(1);
  if (const auto positions = backbone.find("pos_embed"); positions != backbone.end() && !signs.has_layerscale)
    signs.is_class_position_zero = is_first_row_zero(positions->second.tensor);
  return signs;
}

struct Part {
  FileTensor file;  // with the dimensions of one that the file leaves out
  int leading_ones = 0;
};

std::string shape_in_file(const Part& part, at::IntArrayRef sizes) {
  return shape_of(sizes.slice(static_cast<std::size_t>(part.leading_ones)));
}

// The file's tensors by the official parameter they make up, in the order of its rows.
using Parts = std::map<std::string, std::vector<Part>>;

struct Renamed {
  Parts parts;
  std::int64_t depth = 0;
};

const NameRule* rule_for(const WeightFamily& family, const ParsedName& name) {
  const auto rule = std::ranges::find_if(
      family.rules, [&](const NameRule& each) { return official_name(each, name).has_value(); });
  return rule == family.rules.end() ? nullptr : &*rule;
}

// Collects what is wrong; all of it is said at once.
class Problems {
 public:
  void add(const std::string& problem) { text_ += (text_.empty() ? "" : "; ") + problem; }
  void add(const std::string& word, const std::vector<std::string>& names) {
    for (const auto& name : names) add(word + " " + name);
  }
  void throw_if_any(std::string_view family) const {
    if (!text_.empty())
      throw std::invalid_argument("these weights, read as " + std::string(family) + ", do not fit: " + text_);
  }

 private:
  std::string text_;
};

Renamed renamed(const WeightFamily& family, const WeightFile& file, Problems& problems) {
  Renamed result;
  for (const auto& [name, tensor] : file.backbone) {
    const ParsedName parse = parsed_name(name);
    const NameRule* rule = rule_for(family, parse);
    if (rule == nullptr) {
      problems.add("unknown " + tensor.source);
      continue;
    }
    auto& parts = result.parts[*official_name(*rule, parse)];
    parts.resize(static_cast<std::size_t>(rule->parts));
    Part& part = parts[static_cast<std::size_t>(rule->part)];
    if (part.file.tensor.defined())
      problems.add(part.file.source + " and " + tensor.source + " are the same parameter");
    else if (!tensor.tensor.is_floating_point())
      problems.add(tensor.source + " is " + std::string(tensor.tensor.dtype().name()) +
                   ", must be a float type");
    part = {tensor, rule->leading_ones};
    for (int i = 0; i < rule->leading_ones; ++i) part.file.tensor = part.file.tensor.unsqueeze(0);
    if (!parse.block.empty())
      result.depth = std::max<std::int64_t>(result.depth, std::stoll(parse.block) + 1);
  }
  return result;
}

std::int64_t heads_for(const WeightFamily& family, std::int64_t embed_dim,
                       std::optional<std::int64_t> heads) {
  const std::string width = std::to_string(embed_dim);
  if (!heads && family.name == "mae" && embed_dim == 384)
    throw std::invalid_argument(
        "the number of heads is needed: a network of width 384 with fixed positions has 12 heads if it is "
        "of MoCo v3, 6 otherwise");
  if (!heads && !family.has_heads_of_64) heads = heads_of_width(family.name, embed_dim);
  if (!heads && embed_dim % 64 != 0)
    throw std::invalid_argument("the number of heads is needed: it is in no tensor, and the width " + width +
                                " is not a multiple of 64");
  const std::int64_t count = heads.value_or(embed_dim / 64);
  if (count < 1 || embed_dim % count != 0)
    throw std::invalid_argument("heads must divide the width " + width + ", and " + std::to_string(count) +
                                " does not");
  return count;
}

// The grid of the table of positions; whether its class token's row is missing.
struct Table {
  Grid grid{1, 1};
  bool lacks_class_row = false;
};

// `given`: what somebody says the grid is; without it a square.
Table table_of(const WeightFamily& family, const Part& part, const std::optional<Grid>& given) {
  const FileTensor& positions = part.file;
  const auto& tensor = positions.tensor;
  if (!is_table(tensor))
    throw std::invalid_argument(
        positions.source + " is " + shape_in_file(part, tensor.sizes()) +
        ": positions must be a table with a row for the class token and one a patch, " +
        (part.leading_ones > 0 ? "[" : "[1, ") + "1 + rows·columns, width]");
  const std::int64_t length = tensor.size(1);
  const auto grid_of = [&given](std::int64_t patches) {
    if (given) return given->rows * given->columns == patches ? *given : Grid{};
    const std::int64_t side = square_root(patches);
    return Grid{side, side};
  };
  if (!family.class_token) {
    if (const Grid grid = grid_of(length); grid.rows > 0) return {grid, false};
  } else {
    if (const Grid grid = grid_of(length - 1); grid.rows > 0) return {grid, false};
    if (const Grid grid = grid_of(length); grid.rows > 0 && family.name == "timm-dinov2") return {grid, true};
  }
  const std::string said = positions.source + " has " + std::to_string(length) + " rows, ";
  if (given)
    throw std::invalid_argument(said + "but a class token and a grid of " + std::to_string(given->rows) +
                                "x" + std::to_string(given->columns) + " patches need " +
                                std::to_string(1 + given->rows * given->columns));
  throw std::invalid_argument(said +
                              "which are no square and a class token: the grid of patches, rows and columns, "
                              "is needed, since no shape tells it");
}

// What the family's networks do otherwise than DINOv2's.
void set_architecture(const WeightFamily& family, const Parts& parts, VisionTransformerOptions& options) {
  options.norm_epsilon = family.norm_epsilon;
  options.class_token = family.class_token;
  options.patch_bias = family.patch_bias;
  options.pre_norm = family.pre_norm;
  options.activation = family.activation;
  const auto first = parts.find("blocks.0.mlp.fc1.weight");
  if (!family.has_any_hidden || first == parts.end()) return;
  const auto& weight = first->second.front().file.tensor;
  if (weight.dim() == 2 && weight.size(1) == options.embed_dim && weight.size(0) != 4 * options.embed_dim)
    options.ffn_hidden = weight.size(0);
}

// Adds the class token's row of positions where the family keeps none.
VisionTransformerOptions options_of(const WeightFamily& family, Renamed& read,
                                    std::optional<std::int64_t> heads, const std::optional<Grid>& grid) {
  const FileTensor& patches = read.parts.at(kPatchWeights).front().file;
  const auto sizes = patches.tensor.sizes();
  if (sizes.size() != 4 || sizes[2] != sizes[3] || patches.tensor.numel() == 0)
    throw std::invalid_argument(patches.source + " is " + shape_of(sizes) +
                                ": patches must be square, [width, channels, side, side]");
  if (read.depth == 0) throw std::invalid_argument("these weights have no blocks after " + patches.source);
  VisionTransformerOptions options;
  options.embed_dim = sizes[0];
  options.channels = sizes[1];
  options.patch_size = sizes[2];
  options.depth = read.depth;
  options.heads = heads_for(family, options.embed_dim, heads);
  set_architecture(family, read.parts, options);
  const auto has = [&](std::string_view part) {
    return std::ranges::any_of(
        read.parts, [&](const auto& entry) { return entry.first.find(part) != std::string::npos; });
  };
  options.ffn = has(".mlp.w12.") ? "swiglu" : "mlp";
  if (!has(".gamma")) options.layerscale = 0;
  if (const auto it = read.parts.find("register_tokens"); it != read.parts.end()) {
    const auto& tokens = it->second.front().file.tensor;
    options.registers = tokens.dim() == 3 ? tokens.size(1) : 1;
  }
  Table table;
  if (const auto it = read.parts.find("pos_embed"); it != read.parts.end()) {
    table = table_of(family, it->second.front(), grid);
    auto& positions = it->second.front().file.tensor;
    if (table.lacks_class_row)
      positions = torch::cat({torch::zeros_like(positions.slice(1, 0, 1)), positions}, 1);
  }
  options.image_height = table.grid.rows * options.patch_size;
  options.image_width = table.grid.columns * options.patch_size;
  const Resizing& resizing = options.registers > 0 ? family.with_registers : family.plain;
  options.interpolate_antialias = resizing.antialias;
  options.interpolate_offset = resizing.offset;
  return options;
}

// The file's names for an official parameter, a part each.
std::vector<std::string> spelled(const WeightFamily& family, const std::string& official,
                                 const std::string& prefix) {
  const ParsedName parse = parsed_name(official);
  std::vector<std::string> names;
  for (const NameRule& rule : family.rules)
    if (const auto theirs = their_name(rule, parse)) names.push_back(prefix + *theirs);
  if (names.empty()) names.push_back(prefix + official);
  return names;
}

// Exactly the parameters of the network, joined from their parts.
TensorMap assembled(const WeightFamily& family, const VisionTransformerOptions& options, Parts parts,
                    const std::string& prefix, Problems& problems) {
  const VisionTransformer network(options, torch::kMeta);  // names and shapes, no memory
  const auto dtype = parts.at(kPatchWeights).front().file.tensor.scalar_type();
  TensorMap backbone;
  for (const auto& [name, wanted] : network.parameters()) {
    const auto it = parts.find(name);
    if (it == parts.end()) {
      if (name == "mask_token" && !family.needs_mask_token)
        backbone.emplace(name, torch::zeros(wanted.sizes(), dtype));
      else
        problems.add("missing", spelled(family, name, prefix));
      continue;
    }
    auto shape = wanted.sizes().vec();
    shape[0] /= static_cast<std::int64_t>(it->second.size());
    const auto names = spelled(family, name, prefix);
    std::vector<torch::Tensor> tensors;
    for (std::size_t i = 0; i < it->second.size(); ++i) {
      const Part& part = it->second[i];
      const auto& [source, tensor] = part.file;
      if (!tensor.defined())
        problems.add("missing " + names[i]);
      else if (tensor.sizes() != at::IntArrayRef(shape))
        problems.add(source + " is " + shape_in_file(part, tensor.sizes()) + ", must be " +
                     shape_in_file(part, shape));
      else
        tensors.push_back(tensor);
    }
    if (tensors.size() == it->second.size())
      backbone.emplace(name, tensors.size() == 1 ? tensors[0] : torch::cat(tensors, 0));
    parts.erase(it);
  }
  for (const auto& [name, left] : parts)
    for (const Part& part : left)
      if (part.file.tensor.defined()) problems.add("unknown " + part.file.source);
  return backbone;
}

// Names alone do not tell I-JEPA from the ViTs without class token that are SigLIP's, whose activations differ.
void refuse_learned_positions(const WeightFile& file) {
  const FileTensor& positions = file.backbone.at("pos_embed");
  // Only files of ours have I-JEPA's names and a mask token.
  if (file.backbone.contains("mask_token") || begins_as_sines_and_cosines(positions.tensor)) return;
  throw std::invalid_argument(
      "these are weights of a ViT without class token that is not I-JEPA: " + positions.source +
      " is learned, I-JEPA's positions are fixed sines and cosines; what else such a network does otherwise "
      "(SigLIP's uses the tanh form of GELU) no name tells");
}

}  // namespace

std::string differences_from_dinov2(const VisionTransformerOptions& options) {
  std::string all;
  const auto add = [&](bool differs, const std::string& words) {
    if (differs) all += (all.empty() ? "" : ", ") + words;
  };
  add(!options.class_token, "no class token");
  add(!options.patch_bias, "no bias of the patches");
  add(options.pre_norm, "a norm before its blocks");
  add(options.activation == "quick_gelu", "quick GELU");
  add(options.ffn_hidden > 0, "a feed-forward " + std::to_string(options.ffn_hidden) + " wide");
  return all;
}

RecognisedWeights recognise_weights(const TensorMap& tensors, std::optional<std::int64_t> heads,
                                    std::optional<Grid> grid) {
  const torch::NoGradGuard no_grad;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    const std::string bare = without_wrappers(name);
    // A head may be of any architecture.
    if (std::ranges::none_of(segments_of(bare), is_left_out)) names.push_back(bare);
  }
  if (const auto refusal = refusal_of(names)) throw std::invalid_argument(*refusal);
  WeightFile file = divide_weights(tensors);
  const WeightFamily family = family_of(signs_of(file, grid));
  if (family.name == "ijepa") refuse_learned_positions(file);
  for (const std::string_view name : family.left_out) {
    const auto it = file.backbone.find(std::string(name));
    if (it == file.backbone.end()) continue;
    file.left_out.push_back(it->second.source);
    file.backbone.erase(it);
  }
  Problems problems;
  problems.add("unknown", file.unknown);
  problems.add("twice, but for a wrapper's name,", file.twice);
  Renamed read = renamed(family, file, problems);
  RecognisedWeights recognised;
  recognised.family = family.name;
  recognised.options = options_of(family, read, heads, grid);
  recognised.backbone = assembled(family, recognised.options, std::move(read.parts), file.prefix, problems);
  problems.throw_if_any(family.name);
  recognised.is_activation_assumed = family.is_activation_assumed;
  recognised.left_out = std::move(file.left_out);
  std::ranges::sort(recognised.left_out);
  return recognised;
}

NamedTensors hugging_face_names(const VisionTransformer& network) {
  if (network.options().layerscale == 0)
    throw std::invalid_argument("Hugging Face's DINOv2 classes need LayerScale, and this network has none");
  if (const auto differences = differences_from_dinov2(network.options()); !differences.empty())
    throw std::invalid_argument("Hugging Face's DINOv2 classes cannot compute this network: it has " +
                                differences);
  NamedTensors all;
  for (const auto& [name, tensor] : network.parameters()) {
    const ParsedName parse = parsed_name(name);
    for (const NameRule& rule : hugging_face_rules()) {
      const auto theirs = their_name(rule, parse);
      if (!theirs) continue;
      const std::int64_t rows = tensor.size(0) / rule.parts;
      all.emplace_back(*theirs, tensor.narrow(0, rule.part * rows, rows));
    }
  }
  return all;
}

}  // namespace paddock::model
