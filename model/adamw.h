// model/adamw.h – AdamW with DINOv2's parameter groups (layer-wise learning rates, no decay for norms and biases, a last
// layer that waits), clipping network by network, and the teacher's moving average, in one pass.
// Each rank updates its slice of the flat parameters and keeps only that slice's moments; FlatParameters::begin_sharing then
// spreads what is new.
// Source: Loshchilov & Hutter (arXiv 1711.05101), the average from DINO (arXiv 2104.14294) §3.1; multipliers as in
// DINOv2's recipes. Threads: one owner.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/flat_parameters.h"

namespace paddock::model {

struct ParameterMultipliers {
  double lr = 1;
  double wd = 1;
  bool is_last_layer = false;  // follows the last layer's own learning rate
  auto operator<=>(const ParameterMultipliers&) const = default;
};

struct LayerwiseDecay {
  double decay = 1;             // per block from the top
  double patch_embed_mult = 1;  // on top of that, for the patch embedding
  std::int64_t depth = 12;      // blocks of the backbone
};

// By the parameter's full name: "backbone.blocks.3.attn.qkv.weight", "dino_head.last_layer.weight_v".
ParameterMultipliers multipliers_of(const std::string& name, const LayerwiseDecay& layers);

struct AdamWOptions {
  double beta1 = .9;
  double beta2 = .999;
  double epsilon = 1e-8;
};

struct AdamWStep {
  double lr = 0;
  double last_layer_lr = 0;
  double weight_decay = 0;
  double momentum = 1;  // average ← momentum · average + (1 − momentum) · value, after the update
  double backbone_lr_scale = 1;  // 0: the backbone waits for its heads
};

// A gradient's norm, network by network, and what it is to be multiplied with.
struct ClippedGradients {
  std::vector<double>
      norms;  // of the mean gradient before clipping, in the order of FlatParameters::networks()
  std::vector<double> scales;  // clip / (norm + 1e-6) where the norm is above clip, times 1 / shards
  double norm() const;         // of all networks together
};

// `gradient_sum`: this rank's slice of the sum over `shards` shards. `clip` ≤ 0: never. Sums of squares are added block by
// block in one order, whatever the number of ranks. Collective.
ClippedGradients clip_gradients(const FlatParameters& parameters, Range slice,
                                const torch::Tensor& gradient_sum, std::int64_t shards, double clip,
                                Collective& ranks);

class AdamW {
 public:
  // `parameters` and `average`, which are laid out alike and hold the slice at least, must outlive the optimiser.
  AdamW(FlatParameters& parameters, FlatParameters& average, Range slice, const LayerwiseDecay& layers,
        const AdamWOptions& options = {});

  // One update of the slice's values and averages from the slice's gradient times the network's scale.
  void step(const torch::Tensor& gradient, const std::vector<double>& scales, const AdamWStep& values);

  // State: the two moments of the slice and the number of updates so far.
  torch::Tensor& first_moments() { return first_; }
  torch::Tensor& second_moments() { return second_; }
  std::int64_t updates() const { return updates_; }
  void set_updates(std::int64_t updates) { updates_ = updates; }

 private:
  // A stretch of one parameter within one block: the unit of work.
  struct Piece {
    std::int64_t begin = 0, count = 0;  // in the flat parameters
    std::size_t network = 0, group = 0;
  };
  FlatParameters& parameters_;
  FlatParameters& average_;
  const Range slice_;
  const AdamWOptions options_;
  torch::Tensor first_, second_;  // [slice]
  std::int64_t updates_ = 0;
  std::vector<ParameterMultipliers> groups_;
  std::vector<Piece> pieces_;
};

}  // namespace paddock::model
