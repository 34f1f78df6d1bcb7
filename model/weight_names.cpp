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

bool is_first_row_zero(const torch::Tensor& table) {
  return table.dim() == 3 && table.size(0) == 1 && table.size(1) > 1 &&
         !table.select(1, 0).any().item<bool>();
}

FamilySigns signs_of(const WeightFile& file) {
  const auto& backbone = file.backbone;
  const auto has = [&](const std::string& name) { return backbone.contains(name); };
  const auto has_anywhere = [&](std::string_view part) {
    return std::ranges::any_of(file.names,
                               [&](const std::string& name) { return name.find(part) != std::string::npos; });
  };
  FamilySigns signs;
  signs.is_hugging_face = has(kHuggingFacePatchWeights);
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

// The file's tensors by the official parameter they make up, in the order of its rows.
using Parts = std::map<std::string, std::vector<FileTensor>>;

struct Renamed {
  Parts parts;
  std::int64_t depth = 0;
};

const NameRule* rule_for(const WeightFamily& family, std::string_view pattern) {
  const auto rule = std::ranges::find(family.rules, pattern, &NameRule::theirs);
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
    const NameRule* rule = rule_for(family, parse.pattern);
    if (rule == nullptr) {
      problems.add("unknown " + tensor.source);
      continue;
    }
    auto& parts = result.parts[filled(rule->official, parse)];
    parts.resize(static_cast<std::size_t>(rule->parts));
    FileTensor& part = parts[static_cast<std::size_t>(rule->part)];
    if (part.tensor.defined())
      problems.add(part.source + " and " + tensor.source + " are the same parameter");
    else if (!tensor.tensor.is_floating_point())
      problems.add(tensor.source + " is " + std::string(tensor.tensor.dtype().name()) +
                   ", must be a float type");
    part = tensor;
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

// The side of the table of positions; whether its class token's row is missing.
struct Table {
  std::int64_t side = 1;
  bool lacks_class_row = false;
};

Table table_of(const FileTensor& positions, bool may_lack_class_row) {
  const auto& tensor = positions.tensor;
  if (tensor.dim() == 3 && tensor.size(0) == 1) {
    if (const auto side = square_root(tensor.size(1) - 1); side > 0) return {side, false};
    if (const auto side = square_root(tensor.size(1)); side > 0 && may_lack_class_row) return {side, true};
  }
  throw std::invalid_argument(
      positions.source + " is " + shape_of(tensor.sizes()) +
      ": positions must be a square table with a row for the class token, [1, 1 + side·side, width]");
}

// Adds the class token's row of positions where the family keeps none.
VisionTransformerOptions options_of(const WeightFamily& family, Renamed& read,
                                    std::optional<std::int64_t> heads) {
  const FileTensor& patches = read.parts.at(kPatchWeights).front();
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
  options.norm_epsilon = family.norm_epsilon;
  const auto has = [&](std::string_view part) {
    return std::ranges::any_of(
        read.parts, [&](const auto& entry) { return entry.first.find(part) != std::string::npos; });
  };
  options.ffn = has(".mlp.w12.") ? "swiglu" : "mlp";
  if (!has(".gamma")) options.layerscale = 0;
  if (const auto it = read.parts.find("register_tokens"); it != read.parts.end())
    options.registers = it->second.front().tensor.dim() == 3 ? it->second.front().tensor.size(1) : 1;
  Table table;
  if (const auto it = read.parts.find("pos_embed"); it != read.parts.end()) {
    auto& positions = it->second.front();
    table = table_of(positions, family.name == "timm-dinov2");
    if (table.lacks_class_row)
      positions.tensor =
          torch::cat({torch::zeros_like(positions.tensor.slice(1, 0, 1)), positions.tensor}, 1);
  }
  options.image_size = table.side * options.patch_size;
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
    if (rule.official == parse.pattern) names.push_back(prefix + filled(rule.theirs, parse));
  if (names.empty()) names.push_back(prefix + official);
  return names;
}

// Exactly the parameters of the network, joined from their parts.
TensorMap assembled(const WeightFamily& family, const VisionTransformerOptions& options, Parts parts,
                    const std::string& prefix, Problems& problems) {
  const VisionTransformer network(options, torch::kMeta);  // names and shapes, no memory
  const auto dtype = parts.at(kPatchWeights).front().tensor.scalar_type();
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
      const FileTensor& part = it->second[i];
      if (!part.tensor.defined())
        problems.add("missing " + names[i]);
      else if (part.tensor.sizes() != at::IntArrayRef(shape))
        problems.add(part.source + " is " + shape_of(part.tensor.sizes()) + ", must be " + shape_of(shape));
      else
        tensors.push_back(part.tensor);
    }
    if (tensors.size() == it->second.size())
      backbone.emplace(name, tensors.size() == 1 ? tensors[0] : torch::cat(tensors, 0));
    parts.erase(it);
  }
  for (const auto& [name, left] : parts)
    for (const FileTensor& part : left)
      if (part.tensor.defined()) problems.add("unknown " + part.source);
  return backbone;
}

}  // namespace

RecognisedWeights recognise_weights(const TensorMap& tensors, std::optional<std::int64_t> heads) {
  const torch::NoGradGuard no_grad;
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) {
    const std::string bare = without_wrappers(name);
    // A head may be of any architecture.
    if (std::ranges::none_of(segments_of(bare), is_left_out)) names.push_back(bare);
  }
  if (const auto refusal = refusal_of(names)) throw std::invalid_argument(*refusal);
  WeightFile file = divide_weights(tensors);
  const WeightFamily family = family_of(signs_of(file));
  if (family.name == "mae") {  // the decoder's, of the decoder's width
    if (const auto it = file.backbone.find("mask_token"); it != file.backbone.end()) {
      file.left_out.push_back(it->second.source);
      file.backbone.erase(it);
    }
  }
  Problems problems;
  problems.add("unknown", file.unknown);
  problems.add("twice, but for a wrapper's name,", file.twice);
  Renamed read = renamed(family, file, problems);
  RecognisedWeights recognised;
  recognised.family = family.name;
  recognised.options = options_of(family, read, heads);
  recognised.backbone = assembled(family, recognised.options, std::move(read.parts), file.prefix, problems);
  problems.throw_if_any(family.name);
  recognised.left_out = std::move(file.left_out);
  std::ranges::sort(recognised.left_out);
  return recognised;
}

NamedTensors hugging_face_names(const VisionTransformer& network) {
  if (network.options().layerscale == 0)
    throw std::invalid_argument("Hugging Face's DINOv2 classes need LayerScale, and this network has none");
  NamedTensors all;
  for (const auto& [name, tensor] : network.parameters()) {
    const ParsedName parse = parsed_name(name);
    for (const NameRule& rule : hugging_face_rules()) {
      if (rule.official != parse.pattern) continue;
      const std::int64_t rows = tensor.size(0) / rule.parts;
      all.emplace_back(filled(rule.theirs, parse), tensor.narrow(0, rule.part * rows, rows));
    }
  }
  return all;
}

}  // namespace paddock::model
