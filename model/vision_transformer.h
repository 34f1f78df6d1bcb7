// model/vision_transformer.h – the DINOv2 backbone: patches, class token, registers, pre-norm blocks with LayerScale.
// Source: DINOv2 (arXiv 2304.07193), registers (arXiv 2309.16588). Parameter names are those of the released weights.
// Letters: B images, N patches of an image, R registers, T = 1 + R + N tokens in the order [class, registers, patches],
// without a class token R + N, D width, C channels, H W pixels. Parameters are float32; with the compute type bfloat16 the linears
// and the attention run on bfloat16 forms of them (product_weights.h), while the residual stream and LayerNorm stay float32.
// Threads: const members from any thread; whoever changes parameters owns the object. Errors: std::invalid_argument for
// shapes that do not fit.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/fused_blocks.h"
#include "model/product_weights.h"
#include "model/side_policy.h"
#include "model/weights.h"

namespace paddock::model {

struct VisionTransformerOptions {
  // Pixels, multiples of the patch: the grid of patches that the table of positions is made for. Other sizes are taken too.
  std::int64_t image_height = 224;
  std::int64_t image_width = 224;
  std::int64_t patch_size = 14;
  std::int64_t embed_dim = 384;
  std::int64_t depth = 12;
  std::int64_t heads = 6;  // embed_dim / heads is a head's width, 64 in the released models
  std::int64_t registers = 0;
  std::int64_t channels = 3;
  std::string ffn = "mlp";             // or "swiglu"
  double layerscale = 1e-5;            // initial gain of each branch; 0: no LayerScale
  double norm_epsilon = 1e-6;          // of every LayerNorm
  double drop_path = 0;                // share of samples that skip a branch while training
  bool interpolate_antialias = false;  // the released register models: true, with an offset of 0
  double interpolate_offset = .1;

  // What ViTs of other methods do otherwise; training looks at class tokens, evaluation computes all of it.
  bool class_token = true;          // false, as in I-JEPA: no such token, no row of positions for it
  bool patch_bias = true;           // false, as in CLIP: patches are embedded without a bias
  bool pre_norm = false;            // true, as in CLIP: a LayerNorm of all tokens before the first block
  std::string activation = "gelu";  // of the mlp; or "quick_gelu", x·sigmoid(1.702·x)
  std::int64_t ffn_hidden = 0;      // width inside the feed-forward; 0: 4·D, of a gated one swiglu_hidden(D)
};

// Patches of an image, or positions of a table.
struct Grid {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  bool operator==(const Grid&) const = default;
};

// Images of one size that go through the network together with other groups.
struct ImageGroup {
  torch::Tensor images_BCHW;  // float32 or the compute type
  torch::Tensor masks_BN;     // bool, true: replaced by the mask token; undefined: no mask
};

struct Features {
  torch::Tensor cls_BD;  // float32, after the final norm; without class token the mean of patches_BND
  torch::Tensor registers_BRD;
  torch::Tensor patches_BND;
  torch::Tensor prenorm_BTD;  // before the final norm
};

// What a training step looks at: it lets the last block skip the rows nobody reads.
struct PickedFeatures {
  std::vector<torch::Tensor> cls_BD;  // a group each, normed
  torch::Tensor patches_MD;           // of the first group at the indices asked for, normed
};

struct LayerFeatures {
  torch::Tensor cls_BD;  // as in Features
  torch::Tensor patches_BND;
};

// Which samples of a group keep a branch (0 attention, 1 feed-forward): `kept` distinct indices below `batch`.
// Injected, so that the draw belongs to the caller's counters.
using KeptSamples = std::function<std::vector<std::int64_t>(
    std::int64_t block, int branch, std::int64_t group, std::int64_t batch, std::int64_t kept)>;

// max(floor(batch · (1 − rate)), 1)
std::int64_t kept_count(std::int64_t batch, double rate);
// Hidden width of the gated feed-forward: two thirds of 4·D, rounded up to a multiple of 8.
std::int64_t swiglu_hidden(std::int64_t embed_dim);
// Width inside the feed-forward, given or not.
std::int64_t feed_forward_width(const VisionTransformerOptions& options);

class VisionTransformer {
 public:
  // Parameters are allocated, not initialised: initialize() or load_weights(parameters(), …) follows.
  explicit VisionTransformer(const VisionTransformerOptions& options, torch::Device device = torch::kCPU);

  const VisionTransformerOptions& options() const { return options_; }
  NamedTensors parameters() const;
  // The official initial values, a function of the seed (and of this LibTorch's generator).
  void initialize(std::uint64_t seed);
  void set_compute_type(torch::ScalarType type) { weights_.set_type(type); }  // kFloat32 or kBFloat16
  // Those of parameters() that are used in the compute type alone, as long as blocks do not run in the fast form.
  std::vector<torch::Tensor> product_weights() const;
  // Copies of product_weights() are taken for them. Blocks run in the plain form then, since the fast one needs float32 weights.
  void set_product_copies(std::shared_ptr<const ProductCopies> copies) {
    weights_.set_copies(std::move(copies));
  }
  // Whether blocks run in the fast form where there is one (fused_blocks.h: on the CPU); so it is at first.
  void set_fused(bool is_fused) { is_fused_ = is_fused; }
  // Activation checkpointing: of each block only its input is kept for the backward pass, which runs the block again. The same
  // bits; not so at first.
  void set_activation_checkpointing(bool is_checkpointing) { is_checkpointing_ = is_checkpointing; }
  // What is done with images whose sides the patch does not divide; at first they are refused.
  void set_side_policy(SidePolicy policy) { side_policy_ = policy; }
  SidePolicy side_policy() const { return side_policy_; }

  // Of the table of positions.
  Grid own_grid() const;
  // Of what comes out for images of that size: N = rows · columns, row by row. Throws std::invalid_argument where forward
  // would.
  Grid grid_of(std::int64_t height, std::int64_t width) const;

  Features forward_features(const torch::Tensor& images_BCHW, const torch::Tensor& masks_BN = {}) const;

  // All groups in one pass: linears and norms on the concatenation of their tokens, attention a group at a time; equal to
  // separate passes. `kept_samples` null: no stochastic depth, whatever the options say.
  std::vector<Features> forward(const std::vector<ImageGroup>& groups,
                                const KeptSamples& kept_samples = {}) const;

  // The same, giving only class tokens and the patches of the first group at `patches_M` (int64, flat in B·N; undefined:
  // none). Throws std::invalid_argument without a class token, which is what training looks at.
  PickedFeatures forward_picked(const std::vector<ImageGroup>& groups, const torch::Tensor& patches_M,
                                const KeptSamples& kept_samples = {}) const;

  // Outputs of the blocks in `blocks` (0-based, rising), through the final norm when `norm`.
  std::vector<LayerFeatures> intermediate_layers(const torch::Tensor& images_BCHW,
                                                 const std::vector<std::int64_t>& blocks,
                                                 bool norm = true) const;

  // Attention of the last block from the class token and the registers to every token: [B, heads, 1+R, T], rows sum to 1.
  // Throws std::invalid_argument without a class token.
  torch::Tensor last_attention(const torch::Tensor& images_BCHW) const;

  // The table of positions for a grid of rows × columns patches: [1, 1+rows·columns, D], without class token the 1 less.
  torch::Tensor positions(std::int64_t rows, std::int64_t columns) const;

 private:
  using Block = BlockWeights;
  using Layout = TokenLayout;

  torch::Tensor embed(const ImageGroup& group) const;
  torch::Tensor norm(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias) const;
  torch::Tensor linear(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias) const;
  torch::Tensor attend(const Block& block, const torch::Tensor& normed, const Layout& layout) const;
  torch::Tensor attention_branch(const Block& block, const torch::Tensor& x, const Layout& layout) const;
  torch::Tensor feed_forward(const Block& block, const torch::Tensor& x) const;
  // Blocks [begin, end), of the last one only the rows `picked` (undefined: all).
  torch::Tensor run_blocks(torch::Tensor x, std::size_t begin, std::size_t end, const Layout& layout,
                           const KeptSamples& kept, const torch::Tensor& picked = {}) const;
  BranchRows branch_rows(std::size_t block, int branch, const Layout& layout, const KeptSamples& kept,
                         torch::Device device) const;
  torch::Tensor run_block(std::size_t index, torch::Tensor x, const Layout& layout,
                          const KeptSamples& kept) const;
  // In LibTorch's operations, on any device.
  torch::Tensor run_plain_blocks(torch::Tensor x, std::size_t begin, std::size_t end, const Layout& layout,
                                 const KeptSamples& kept, const torch::Tensor& picked) const;
  torch::Tensor run_last_block_picked(torch::Tensor x, const Layout& layout, const torch::Tensor& rows) const;
  torch::Tensor final_norm(const torch::Tensor& x) const;
  // Tokens before the patches.
  std::int64_t leading() const { return (options_.class_token ? 1 : 0) + options_.registers; }
  // What stands for the image: the class token of these, or the mean of their patches.
  torch::Tensor pooled(const torch::Tensor& tokens_BTD) const;
  void require_class_token(const char* what_for) const;

  const VisionTransformerOptions options_;
  ProductWeights weights_;
  bool is_fused_ = true;
  bool is_checkpointing_ = false;
  SidePolicy side_policy_ = SidePolicy::kRefuse;
  torch::Tensor cls_token_, pos_embed_, register_tokens_, mask_token_, patch_weight_, patch_bias_;
  torch::Tensor pre_norm_weight_, pre_norm_bias_;
  std::vector<Block> blocks_;
  torch::Tensor norm_weight_, norm_bias_;
};

}  // namespace paddock::model
