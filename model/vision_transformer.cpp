#include "model/vision_transformer.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <numeric>
#include <stdexcept>

#include "model/recomputed.h"

namespace paddock::model {
namespace {

torch::Tensor allocate(std::vector<std::int64_t> shape, torch::Device device) {
  return torch::empty(shape, torch::TensorOptions().dtype(torch::kFloat32).device(device));
}

// On the CPU gain and bias are operations of their own: LibTorch's backward pass of all three at once adds the gains'
// gradients in an order that depends on the number of threads.
torch::Tensor layer_norm(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias,
                         double epsilon) {
  if (!x.device().is_cpu() || !at::GradMode::is_enabled())
    return torch::layer_norm(x, {x.size(-1)}, weight, bias, epsilon);
  return torch::layer_norm(x, {x.size(-1)}, {}, {}, epsilon) * weight + bias;
}

// A branch as it is added to the residual stream.
torch::Tensor scaled(const torch::Tensor& branch, const torch::Tensor& gain) {
  const auto wide = branch.to(torch::kFloat32);
  return gain.defined() ? wide * gain : wide;
}

// Rows of a group's tokens at the given samples: sample · T + 0 … T − 1, from the group's first row.
torch::Tensor rows_of_samples(const std::vector<std::int64_t>& samples, std::int64_t tokens,
                              std::int64_t first_row, torch::Device device) {
  const auto index =
      torch::tensor(samples, torch::kInt64).unsqueeze(1) * tokens + torch::arange(tokens, torch::kInt64);
  return (index.flatten() + first_row).to(device);
}

}  // namespace

std::int64_t kept_count(std::int64_t batch, double rate) {
  return std::max<std::int64_t>(
      static_cast<std::int64_t>(std::floor(static_cast<double>(batch) * (1 - rate))), 1);
}

std::int64_t swiglu_hidden(std::int64_t embed_dim) {
  return (4 * embed_dim * 2 / 3 + 7) / 8 * 8;
}

std::int64_t feed_forward_width(const VisionTransformerOptions& options) {
  if (options.ffn_hidden > 0) return options.ffn_hidden;
  return options.ffn == "swiglu" ? swiglu_hidden(options.embed_dim) : 4 * options.embed_dim;
}

VisionTransformer::VisionTransformer(const VisionTransformerOptions& options, torch::Device device)
    : options_(options) {
  if (options.image_height % options.patch_size != 0 || options.image_width % options.patch_size != 0)
    throw std::invalid_argument("image_height and image_width must be multiples of patch_size");
  if (options.embed_dim % options.heads != 0)
    throw std::invalid_argument("embed_dim must be a multiple of heads");
  if (options.ffn != "mlp" && options.ffn != "swiglu")
    throw std::invalid_argument("ffn must be mlp or swiglu");
  if (options.activation != "gelu" && options.activation != "quick_gelu")
    throw std::invalid_argument("activation must be gelu or quick_gelu");
  if (options.ffn == "swiglu" && options.activation != "gelu")
    throw std::invalid_argument("swiglu has its own activation, quick_gelu is of the mlp alone");
  const std::int64_t width = options.embed_dim;
  const Grid grid = own_grid();
  const bool is_gated = options.ffn == "swiglu";
  const std::int64_t hidden = feed_forward_width(options);
  if (options.class_token) cls_token_ = allocate({1, 1, width}, device);
  pos_embed_ = allocate({1, grid.rows * grid.columns + (options.class_token ? 1 : 0), width}, device);
  if (options.registers > 0) register_tokens_ = allocate({1, options.registers, width}, device);
  mask_token_ = allocate({1, width}, device);
  patch_weight_ = allocate({width, options.channels, options.patch_size, options.patch_size}, device);
  if (options.patch_bias) patch_bias_ = allocate({width}, device);
  if (options.pre_norm) {
    pre_norm_weight_ = allocate({width}, device);
    pre_norm_bias_ = allocate({width}, device);
  }
  for (std::int64_t i = 0; i < options.depth; ++i) {
    Block block;
    block.norm1_weight = allocate({width}, device);
    block.norm1_bias = allocate({width}, device);
    block.qkv_weight = allocate({3 * width, width}, device);
    block.qkv_bias = allocate({3 * width}, device);
    block.proj_weight = allocate({width, width}, device);
    block.proj_bias = allocate({width}, device);
    block.norm2_weight = allocate({width}, device);
    block.norm2_bias = allocate({width}, device);
    block.in_weight = allocate({is_gated ? 2 * hidden : hidden, width}, device);
    block.in_bias = allocate({is_gated ? 2 * hidden : hidden}, device);
    block.out_weight = allocate({width, hidden}, device);
    block.out_bias = allocate({width}, device);
    if (options.layerscale > 0) {
      block.ls1 = allocate({width}, device);
      block.ls2 = allocate({width}, device);
    }
    blocks_.push_back(std::move(block));
  }
  norm_weight_ = allocate({width}, device);
  norm_bias_ = allocate({width}, device);
}

NamedTensors VisionTransformer::parameters() const {
  NamedTensors all;
  if (cls_token_.defined()) all.emplace_back("cls_token", cls_token_);
  all.emplace_back("pos_embed", pos_embed_);
  if (register_tokens_.defined()) all.emplace_back("register_tokens", register_tokens_);
  all.emplace_back("mask_token", mask_token_);
  all.emplace_back("patch_embed.proj.weight", patch_weight_);
  if (patch_bias_.defined()) all.emplace_back("patch_embed.proj.bias", patch_bias_);
  if (pre_norm_weight_.defined()) {
    all.emplace_back("norm_pre.weight", pre_norm_weight_);
    all.emplace_back("norm_pre.bias", pre_norm_bias_);
  }
  const bool is_gated = options_.ffn == "swiglu";
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const Block& block = blocks_[i];
    const std::string name = "blocks." + std::to_string(i) + ".";
    const auto add = [&](const char* suffix, const torch::Tensor& tensor) {
      if (tensor.defined()) all.emplace_back(name + suffix, tensor);
    };
    add("norm1.weight", block.norm1_weight);
    add("norm1.bias", block.norm1_bias);
    add("attn.qkv.weight", block.qkv_weight);
    add("attn.qkv.bias", block.qkv_bias);
    add("attn.proj.weight", block.proj_weight);
    add("attn.proj.bias", block.proj_bias);
    add("ls1.gamma", block.ls1);
    add("norm2.weight", block.norm2_weight);
    add("norm2.bias", block.norm2_bias);
    add(is_gated ? "mlp.w12.weight" : "mlp.fc1.weight", block.in_weight);
    add(is_gated ? "mlp.w12.bias" : "mlp.fc1.bias", block.in_bias);
    add(is_gated ? "mlp.w3.weight" : "mlp.fc2.weight", block.out_weight);
    add(is_gated ? "mlp.w3.bias" : "mlp.fc2.bias", block.out_bias);
    add("ls2.gamma", block.ls2);
  }
  all.emplace_back("norm.weight", norm_weight_);
  all.emplace_back("norm.bias", norm_bias_);
  return all;
}

std::vector<torch::Tensor> VisionTransformer::product_weights() const {
  std::vector<torch::Tensor> all{patch_weight_};
  if (patch_bias_.defined()) all.push_back(patch_bias_);
  for (const Block& block : blocks_)
    all.insert(all.end(), {block.qkv_weight, block.qkv_bias, block.proj_weight, block.proj_bias,
                           block.in_weight, block.in_bias, block.out_weight, block.out_bias});
  return all;
}

void VisionTransformer::initialize(std::uint64_t seed) {
  const torch::NoGradGuard no_grad;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  const auto uniform_bound =
      1 / std::sqrt(static_cast<double>(patch_weight_.numel() / patch_weight_.size(0)));
  for (auto& [name, tensor] : parameters()) {
    // Drawn on the CPU, so that a seed means the same on every device.
    torch::Tensor value = torch::zeros(tensor.sizes(), torch::kFloat32);
    if (name.starts_with("patch_embed."))
      value.uniform_(-uniform_bound, uniform_bound, generator);
    else if (name == "cls_token" || name == "register_tokens")
      value.normal_(0, 1e-6, generator);
    else if (name == "mask_token" || name.ends_with(".bias"))
      value.zero_();
    else if (name.ends_with(".gamma"))
      value.fill_(options_.layerscale);
    else if (name.find("norm") != std::string::npos)
      value.fill_(1);
    // The official truncation at ±2 is 100 standard deviations away: a plain normal.
    else
      value.normal_(0, .02, generator);
    tensor.copy_(value);
  }
}

torch::Tensor VisionTransformer::norm(const torch::Tensor& x, const torch::Tensor& weight,
                                      const torch::Tensor& bias) const {
  const auto normed = layer_norm(x, weight, bias, options_.norm_epsilon);
  return normed.to(weights_.type());
}

torch::Tensor VisionTransformer::final_norm(const torch::Tensor& x) const {
  return layer_norm(x, norm_weight_, norm_bias_, options_.norm_epsilon);
}

torch::Tensor VisionTransformer::linear(const torch::Tensor& x, const torch::Tensor& weight,
                                        const torch::Tensor& bias) const {
  return torch::linear(x, weights_(weight), weights_(bias));
}

torch::Tensor VisionTransformer::pooled(const torch::Tensor& tokens_BTD) const {
  return options_.class_token ? tokens_BTD.select(1, 0) : tokens_BTD.slice(1, leading()).mean(1);
}

void VisionTransformer::require_class_token(const char* what_for) const {
  if (!options_.class_token)
    throw std::invalid_argument(std::string(what_for) + " needs a class token, and this network has none");
}

Grid VisionTransformer::own_grid() const {
  return {options_.image_height / options_.patch_size, options_.image_width / options_.patch_size};
}

Grid VisionTransformer::grid_of(std::int64_t height, std::int64_t width) const {
  const std::int64_t patch = options_.patch_size;
  return {fitted_side(height, patch, side_policy_) / patch, fitted_side(width, patch, side_policy_) / patch};
}

torch::Tensor VisionTransformer::positions(std::int64_t rows, std::int64_t columns) const {
  const Grid own = own_grid();
  if (own == Grid{rows, columns}) return pos_embed_;
  const std::int64_t width = options_.embed_dim;
  const std::int64_t class_rows = options_.class_token ? 1 : 0;
  const auto table =
      pos_embed_.slice(1, class_rows).reshape({1, own.rows, own.columns, width}).permute({0, 3, 1, 2});
  std::optional<double> scale_y, scale_x;
  if (options_.interpolate_offset != 0) {
    scale_y = (static_cast<double>(rows) + options_.interpolate_offset) / static_cast<double>(own.rows);
    scale_x = (static_cast<double>(columns) + options_.interpolate_offset) / static_cast<double>(own.columns);
  }
  const auto resized = options_.interpolate_antialias
                           ? at::_upsample_bicubic2d_aa(table, {rows, columns}, false, scale_y, scale_x)
                           : at::upsample_bicubic2d(table, {rows, columns}, false, scale_y, scale_x);
  return torch::cat(
      {pos_embed_.slice(1, 0, class_rows), resized.permute({0, 2, 3, 1}).reshape({1, rows * columns, width})},
      1);
}

torch::Tensor VisionTransformer::embed(const ImageGroup& group) const {
  const std::int64_t patch = options_.patch_size;
  if (group.images_BCHW.dim() != 4 || group.images_BCHW.size(1) != options_.channels)
    throw std::invalid_argument("images must be [B, " + std::to_string(options_.channels) + ", H, W]");
  const auto images = with_fitted_sides(group.images_BCHW, patch, side_policy_);
  const std::int64_t batch = images.size(0), rows = images.size(2) / patch, columns = images.size(3) / patch;
  // A convolution whose stride is its kernel is a linear map of each patch.
  const auto patches = images.to(weights_.type())
                           .view({batch, options_.channels, rows, patch, columns, patch})
                           .permute({0, 2, 4, 1, 3, 5})
                           .reshape({batch, rows * columns, options_.channels * patch * patch});
  auto tokens =
      torch::linear(patches, weights_(patch_weight_).flatten(1), weights_(patch_bias_)).to(torch::kFloat32);
  if (group.masks_BN.defined())
    tokens = torch::where(group.masks_BN.unsqueeze(-1), mask_token_.unsqueeze(0), tokens);
  const auto table = positions(rows, columns);
  std::vector<torch::Tensor> parts;
  if (cls_token_.defined())
    parts.push_back((cls_token_ + table.slice(1, 0, 1)).expand({batch, 1, options_.embed_dim}));
  if (register_tokens_.defined())
    parts.push_back(register_tokens_.expand({batch, options_.registers, options_.embed_dim}));
  parts.push_back(tokens + table.slice(1, options_.class_token ? 1 : 0));
  const auto embedded = torch::cat(parts, 1);
  if (!options_.pre_norm) return embedded;
  return torch::layer_norm(embedded, {options_.embed_dim}, pre_norm_weight_, pre_norm_bias_,
                           options_.norm_epsilon);
}

torch::Tensor VisionTransformer::attend(const Block& block, const torch::Tensor& normed,
                                        const Layout& layout) const {
  const std::int64_t heads = options_.heads, head_width = options_.embed_dim / heads;
  std::vector<torch::Tensor> outputs;
  const auto groups = linear(normed, block.qkv_weight, block.qkv_bias).split_with_sizes(layout.sizes());
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const auto qkv = groups[g]
                         .view({layout.images[g], layout.tokens[g], 3, heads, head_width})
                         .permute({2, 0, 3, 1, 4})
                         .unbind(0);
    const auto attended = at::scaled_dot_product_attention(qkv[0], qkv[1], qkv[2]);
    outputs.push_back(
        attended.transpose(1, 2).reshape({layout.images[g] * layout.tokens[g], options_.embed_dim}));
  }
  return outputs.size() == 1 ? outputs[0] : torch::cat(outputs, 0);
}

torch::Tensor VisionTransformer::attention_branch(const Block& block, const torch::Tensor& x,
                                                  const Layout& layout) const {
  const auto attended = attend(block, norm(x, block.norm1_weight, block.norm1_bias), layout);
  return linear(attended, block.proj_weight, block.proj_bias);
}

torch::Tensor VisionTransformer::feed_forward(const Block& block, const torch::Tensor& x) const {
  auto hidden = linear(norm(x, block.norm2_weight, block.norm2_bias), block.in_weight, block.in_bias);
  if (options_.ffn == "swiglu") {
    const auto halves = hidden.chunk(2, -1);
    hidden = torch::silu(halves[0]) * halves[1];
  } else if (options_.activation == "quick_gelu") {
    hidden = hidden * torch::sigmoid(1.702 * hidden);
  } else {
    hidden = torch::gelu(hidden);
  }
  return linear(hidden, block.out_weight, block.out_bias);
}

torch::Tensor VisionTransformer::run_block(std::size_t index, torch::Tensor x, const Layout& layout,
                                           const KeptSamples& kept) const {
  const Block& block = blocks_[index];
  if (!kept || options_.drop_path <= 0) {
    x = x + scaled(attention_branch(block, x, layout), block.ls1);
    return x + scaled(feed_forward(block, x), block.ls2);
  }
  for (const int branch : {0, 1}) {
    const BranchRows subset = branch_rows(index, branch, layout, kept, x.device());
    const auto input = x.index_select(0, subset.rows_S);
    const auto output = branch == 0 ? scaled(attention_branch(block, input, subset.layout), block.ls1)
                                    : scaled(feed_forward(block, input), block.ls2);
    x = x.index_add(0, subset.rows_S, output * subset.factors_S.unsqueeze(1));
  }
  return x;
}

// Stochastic depth on a subset: the branch runs on the kept samples alone and counts B/s times as much.
BranchRows VisionTransformer::branch_rows(std::size_t block, int branch, const Layout& layout,
                                          const KeptSamples& kept, torch::Device device) const {
  BranchRows subset;
  std::vector<torch::Tensor> rows, factors;
  for (std::size_t g = 0; g < layout.images.size(); ++g) {
    const std::int64_t batch = layout.images[g], count = kept_count(batch, options_.drop_path);
    const auto samples =
        kept(static_cast<std::int64_t>(block), branch, static_cast<std::int64_t>(g), batch, count);
    rows.push_back(rows_of_samples(samples, layout.tokens[g], layout.first[g], device));
    factors.push_back(torch::full({rows.back().numel()},
                                  static_cast<double>(batch) / static_cast<double>(count),
                                  torch::TensorOptions().dtype(torch::kFloat32).device(device)));
    subset.layout.add(count, layout.tokens[g]);
  }
  subset.rows_S = torch::cat(rows);
  subset.factors_S = torch::cat(factors);
  return subset;
}

// As run_block without stochastic depth, but past the attention only on the rows asked for.
torch::Tensor VisionTransformer::run_last_block_picked(torch::Tensor x, const Layout& layout,
                                                       const torch::Tensor& rows) const {
  const Block& block = blocks_.back();
  const auto attended =
      attend(block, norm(x, block.norm1_weight, block.norm1_bias), layout).index_select(0, rows);
  x = x.index_select(0, rows) + scaled(linear(attended, block.proj_weight, block.proj_bias), block.ls1);
  return x + scaled(feed_forward(block, x), block.ls2);
}

torch::Tensor VisionTransformer::run_plain_blocks(torch::Tensor x, std::size_t begin, std::size_t end,
                                                  const Layout& layout, const KeptSamples& kept,
                                                  const torch::Tensor& picked) const {
  for (std::size_t i = begin; i < end; ++i) {
    const auto block = [this, i, layout, kept,
                        picked = i + 1 == end ? picked : torch::Tensor()](const torch::Tensor& input) {
      return picked.defined() ? run_last_block_picked(input, layout, picked)
                              : run_block(i, input, layout, kept);
    };
    x = is_checkpointing_ ? recomputed(block, x, tensors_of(blocks_[i])) : block(x);
  }
  return x;
}

torch::Tensor VisionTransformer::run_blocks(torch::Tensor x, std::size_t begin, std::size_t end,
                                            const Layout& layout, const KeptSamples& kept,
                                            const torch::Tensor& picked) const {
  const bool is_dropping = kept && options_.drop_path > 0;
  const torch::Tensor picked_early = is_dropping ? torch::Tensor() : picked;
  if (is_fused_ && !weights_.has_copies() && x.device().is_cpu()) {
    BlockRun run{layout, options_.heads, options_.norm_epsilon, Activation::kGelu,
                 {},     picked_early,   weights_.type(),       is_checkpointing_};
    if (options_.activation == "quick_gelu") run.activation = Activation::kQuickGelu;
    if (options_.ffn == "swiglu") run.activation = Activation::kSwiGlu;
    for (std::size_t i = begin; i < end && is_dropping; ++i)
      run.kept.push_back(
          {branch_rows(i, 0, layout, kept, x.device()), branch_rows(i, 1, layout, kept, x.device())});
    const auto first = blocks_.begin();
    x = run_fused_blocks(
        x, {first + static_cast<std::ptrdiff_t>(begin), first + static_cast<std::ptrdiff_t>(end)}, run);
  } else {
    x = run_plain_blocks(x, begin, end, layout, kept, picked_early);
  }
  return picked.defined() && is_dropping ? x.index_select(0, picked) : x;
}

std::vector<Features> VisionTransformer::forward(const std::vector<ImageGroup>& groups,
                                                 const KeptSamples& kept) const {
  Layout layout;
  std::vector<torch::Tensor> embedded;
  for (const ImageGroup& group : groups) {
    const auto tokens = embed(group);
    layout.add(tokens.size(0), tokens.size(1));
    embedded.push_back(tokens.flatten(0, 1));
  }
  auto x = embedded.size() == 1 ? embedded[0] : torch::cat(embedded, 0);
  x = run_blocks(x, 0, blocks_.size(), layout, kept);
  const auto normed = final_norm(x).split_with_sizes(layout.sizes());
  const auto raw = x.split_with_sizes(layout.sizes());
  std::vector<Features> all;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    const auto tokens = normed[g].view({layout.images[g], layout.tokens[g], options_.embed_dim});
    all.push_back({pooled(tokens), tokens.slice(1, leading() - options_.registers, leading()),
                   tokens.slice(1, leading()),
                   raw[g].view({layout.images[g], layout.tokens[g], options_.embed_dim})});
  }
  return all;
}

Features VisionTransformer::forward_features(const torch::Tensor& images_BCHW,
                                             const torch::Tensor& masks_BN) const {
  return forward({{images_BCHW, masks_BN}}).front();
}

PickedFeatures VisionTransformer::forward_picked(const std::vector<ImageGroup>& groups,
                                                 const torch::Tensor& patches_M,
                                                 const KeptSamples& kept) const {
  require_class_token("training");
  Layout layout;
  std::vector<torch::Tensor> embedded, rows;
  for (const ImageGroup& group : groups) {
    const auto tokens = embed(group);
    layout.add(tokens.size(0), tokens.size(1));
    embedded.push_back(tokens.flatten(0, 1));
    rows.push_back(torch::arange(layout.first.back(), layout.rows, layout.tokens.back(), torch::kInt64));
  }
  std::vector<std::int64_t> sizes = layout.images;
  if (patches_M.defined()) {
    const std::int64_t skipped = 1 + options_.registers, patches = layout.tokens[0] - skipped;
    const auto index = patches_M.to(torch::kCPU);
    rows.push_back(index.div(patches, "floor") * layout.tokens[0] + index.remainder(patches) + skipped);
    sizes.push_back(index.numel());
  }
  auto x = embedded.size() == 1 ? embedded[0] : torch::cat(embedded, 0);
  const auto picked = torch::cat(rows).to(x.device());
  x = run_blocks(x, 0, blocks_.size(), layout, kept, picked);
  auto parts = final_norm(x).split_with_sizes(sizes);
  PickedFeatures features;
  if (patches_M.defined()) {
    features.patches_MD = parts.back();
    parts.pop_back();
  }
  features.cls_BD = std::move(parts);
  return features;
}

std::vector<LayerFeatures> VisionTransformer::intermediate_layers(const torch::Tensor& images_BCHW,
                                                                  const std::vector<std::int64_t>& blocks,
                                                                  bool norm) const {
  const auto tokens = embed({images_BCHW, {}});
  Layout layout;
  layout.add(tokens.size(0), tokens.size(1));
  auto x = tokens.flatten(0, 1);
  std::vector<LayerFeatures> layers;
  for (std::size_t i = 0; i < blocks_.size() && layers.size() < blocks.size(); ++i) {
    x = run_blocks(x, i, i + 1, layout, {});
    if (blocks[layers.size()] != static_cast<std::int64_t>(i)) continue;
    const auto output = (norm ? final_norm(x) : x).view(tokens.sizes());
    layers.push_back({pooled(output), output.slice(1, leading())});
  }
  if (layers.size() != blocks.size())
    throw std::invalid_argument("layers must be rising indices of blocks below " +
                                std::to_string(blocks_.size()));
  return layers;
}

torch::Tensor VisionTransformer::last_attention(const torch::Tensor& images_BCHW) const {
  require_class_token("a map of its attention");
  const auto tokens = embed({images_BCHW, {}});
  Layout layout;
  layout.add(tokens.size(0), tokens.size(1));
  auto x = tokens.flatten(0, 1);
  x = run_blocks(x, 0, blocks_.size() - 1, layout, {});
  const Block& last = blocks_.back();
  const std::int64_t heads = options_.heads, head_width = options_.embed_dim / heads;
  const auto qkv = linear(norm(x, last.norm1_weight, last.norm1_bias), last.qkv_weight, last.qkv_bias)
                       .view({tokens.size(0), tokens.size(1), 3, heads, head_width})
                       .permute({2, 0, 3, 1, 4})
                       .to(torch::kFloat32);
  const auto queries =
      qkv[0].slice(2, 0, 1 + options_.registers) / std::sqrt(static_cast<double>(head_width));
  return queries.matmul(qkv[1].transpose(-2, -1)).softmax(-1);
}

}  // namespace paddock::model
