// tests/model/tiny_step.h – networks and pictures small enough for a whole step of DINOv2 in a unit test.
// Letters as in model/self_distillation.h.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "model/self_distillation.h"

namespace paddock::model {

inline HeadedBackboneOptions tiny_networks() {
  HeadedBackboneOptions options;
  options.backbone.image_height = options.backbone.image_width = 32;
  options.backbone.patch_size = 8;
  options.backbone.embed_dim = 32;
  options.backbone.depth = 2;
  options.backbone.heads = 2;
  options.backbone.layerscale = .5;
  options.dino_head = {.prototypes = 24, .hidden = 32, .bottleneck = 16, .layers = 2};
  options.ibot_head = {.prototypes = 20, .hidden = 32, .bottleneck = 16, .layers = 2};
  return options;
}

// B pictures' crops, of which any range can be the batch of a shard.
class TinyPictures {
 public:
  static constexpr std::int64_t kLocalCrops = 2, kPatches = 16;

  // `masked`: hidden patches of each global crop, crop by crop: 2·B numbers.
  explicit TinyPictures(const std::vector<std::int64_t>& masked) {
    const auto pictures = static_cast<std::int64_t>(masked.size()) / 2;
    globals_ = torch::randn({2, pictures, 3, 32, 32});
    locals_ = torch::randn({kLocalCrops, pictures, 3, 16, 16});
    masks_ = torch::zeros({2, pictures, kPatches}, torch::kBool);
    for (std::int64_t row = 0; row < 2 * pictures; ++row) {
      const auto order = torch::randperm(kPatches).narrow(0, 0, masked[static_cast<std::size_t>(row)]);
      masks_.view({-1, kPatches})[row].index_fill_(0, order, true);
    }
  }

  std::int64_t size() const { return globals_.size(1); }

  CropBatch batch(std::int64_t begin, std::int64_t end) const {
    const auto rows_of = [&](const torch::Tensor& all) {
      return all.slice(1, begin, end).flatten(0, 1).contiguous();
    };
    CropBatch batch;
    batch.globals = rows_of(globals_);
    batch.locals = rows_of(locals_);
    batch.masks_2BN = rows_of(masks_);
    batch.patches_M = batch.masks_2BN.flatten().nonzero().flatten();
    const auto count_2B1 = batch.masks_2BN.sum(1, true).clamp_min(1).to(torch::kFloat32);
    batch.patch_weights_M =
        count_2B1.reciprocal().expand({-1, kPatches}).flatten().index_select(0, batch.patches_M);
    return batch;
  }

 private:
  torch::Tensor globals_, locals_, masks_;  // [2, B, …], [L, B, …], [2, B, N]
};

}  // namespace paddock::model
