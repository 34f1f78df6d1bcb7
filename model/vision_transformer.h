// model/vision_transformer.h – the DINOv2 backbone: patches, class token, registers, pre-norm blocks with LayerScale.
// Source: DINOv2 (arXiv 2304.07193), registers (arXiv 2309.16588). Parameter names are those of the released weights.
// Letters: B images, N patches of an image, R registers, T = 1 + R + N tokens in the order [class, registers, patches],
// D width, C channels, H W pixels. Parameters are float32 masters; with the compute type bfloat16 the linears and the
// attention run on copies cast inside the graph, while the residual stream and LayerNorm stay float32.
// Threads: const members from any thread; whoever changes parameters owns the object. Errors: std::invalid_argument for
// shapes that do not fit.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "model/weights.h"

namespace paddock::model {

struct VisionTransformerOptions {
  std::int64_t image_size =
      224;  // pixels; sizes the table of positions, any input that patches divide is accepted
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
};

// Images of one size that go through the network together with other groups.
struct ImageGroup {
  torch::Tensor images_BCHW;  // float32 or the compute type
  torch::Tensor masks_BN;     // bool, true: replaced by the mask token; undefined: no mask
};

struct Features {
  torch::Tensor cls_BD;  // float32, after the final norm
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
  torch::Tensor cls_BD;
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

class VisionTransformer {
 public:
  // Parameters are allocated, not initialised: initialize() or load_weights(parameters(), …) follows.
  explicit VisionTransformer(const VisionTransformerOptions& options, torch::Device device = torch::kCPU);

  const VisionTransformerOptions& options() const { return options_; }
  NamedTensors parameters() const;
  // The official initial values, a function of the seed (and of this LibTorch's generator).
  void initialize(std::uint64_t seed);
  void set_compute_type(torch::ScalarType type) { compute_ = type; }  // kFloat32 or kBFloat16

  Features forward_features(const torch::Tensor& images_BCHW, const torch::Tensor& masks_BN = {}) const;

  // All groups in one pass: linears and norms on the concatenation of their tokens, attention a group at a time; equal to
  // separate passes. `kept_samples` null: no stochastic depth, whatever the options say.
  std::vector<Features> forward(const std::vector<ImageGroup>& groups,
                                const KeptSamples& kept_samples = {}) const;

  // The same, giving only class tokens and the patches of the first group at `patches_M` (int64, flat in B·N; undefined:
  // none).
  PickedFeatures forward_picked(const std::vector<ImageGroup>& groups, const torch::Tensor& patches_M,
                                const KeptSamples& kept_samples = {}) const;

  // Outputs of the blocks in `blocks` (0-based, rising), through the final norm when `norm`.
  std::vector<LayerFeatures> intermediate_layers(const torch::Tensor& images_BCHW,
                                                 const std::vector<std::int64_t>& blocks,
                                                 bool norm = true) const;

  // Attention of the last block from the class token and the registers to every token: [B, heads, 1+R, T], rows sum to 1.
  torch::Tensor last_attention(const torch::Tensor& images_BCHW) const;

  // The table of positions for a grid of rows × columns patches: [1, 1+rows·columns, D].
  torch::Tensor positions(std::int64_t rows, std::int64_t columns) const;

 private:
  struct Block {
    torch::Tensor norm1_weight, norm1_bias, qkv_weight, qkv_bias, proj_weight, proj_bias, ls1;
    torch::Tensor norm2_weight, norm2_bias, in_weight, in_bias, out_weight, out_bias, ls2;
  };
  struct Layout;  // where each group's rows lie in the concatenation

  torch::Tensor embed(const ImageGroup& group) const;
  torch::Tensor norm(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias) const;
  torch::Tensor linear(const torch::Tensor& x, const torch::Tensor& weight, const torch::Tensor& bias) const;
  torch::Tensor attend(const Block& block, const torch::Tensor& normed, const Layout& layout) const;
  torch::Tensor attention_branch(const Block& block, const torch::Tensor& x, const Layout& layout) const;
  torch::Tensor feed_forward(const Block& block, const torch::Tensor& x) const;
  torch::Tensor run_block(std::size_t index, torch::Tensor x, const Layout& layout,
                          const KeptSamples& kept) const;
  torch::Tensor run_last_block_picked(torch::Tensor x, const Layout& layout, const torch::Tensor& rows) const;
  torch::Tensor final_norm(const torch::Tensor& x) const;

  const VisionTransformerOptions options_;
  torch::ScalarType compute_ = torch::kFloat32;
  torch::Tensor cls_token_, pos_embed_, register_tokens_, mask_token_, patch_weight_, patch_bias_;
  std::vector<Block> blocks_;
  torch::Tensor norm_weight_, norm_bias_;
};

}  // namespace paddock::model
