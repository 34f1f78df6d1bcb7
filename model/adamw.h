// model/adamw.h – AdamW with DINOv2's parameter groups: layer-wise learning rates, no decay for norms and biases, a last
// layer that waits. Source: Loshchilov & Hutter (arXiv 1711.05101); multipliers as in DINOv2's recipes.
// Threads: one owner.
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
};

class AdamW {
 public:
  // `parameters` must outlive the optimiser.
  AdamW(FlatParameters& parameters, const LayerwiseDecay& layers, const AdamWOptions& options = {});

  // One update from parameters.gradients().
  void step(const AdamWStep& values);

  // State: the two moments, flat as the parameters are, and the number of updates so far.
  torch::Tensor& first_moments() { return first_; }
  torch::Tensor& second_moments() { return second_; }
  std::int64_t updates() const { return updates_; }
  void set_updates(std::int64_t updates) { updates_ = updates; }

 private:
  struct Group {
    ParameterMultipliers multipliers;
    std::vector<torch::Tensor> values, gradients, first, second, steps;
  };
  const AdamWOptions options_;
  torch::Tensor first_, second_;
  torch::Tensor count_;  // the number of updates, as the fused kernel wants it
  std::int64_t updates_ = 0;
  std::vector<Group> groups_;
};

// Scales the gradients of parameters whose names begin with `prefix` so that their norm is at most `max_norm` (≤ 0: never).
// Returns the norm before. Not finite: nothing was scaled.
double clip_gradients(FlatParameters& parameters, const std::string& prefix, double max_norm);

}  // namespace paddock::model
