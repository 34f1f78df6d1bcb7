// model/headed_backbone.h – a backbone with its projection heads: what student and teacher both are.
// Threads: const members from any thread.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "model/dino_head.h"
#include "model/vision_transformer.h"

namespace paddock::model {

struct HeadedBackboneOptions {
  VisionTransformerOptions backbone;
  DinoHeadOptions dino_head;                 // in_dim is set from the backbone
  std::optional<DinoHeadOptions> ibot_head;  // none: patches go through the dino head
};

struct HeadedBackbone {
  VisionTransformer backbone;
  DinoHead dino_head;
  std::optional<DinoHead> ibot_head;

  explicit HeadedBackbone(HeadedBackboneOptions options, torch::Device device = torch::kCPU);

  const DinoHead& patch_head() const { return ibot_head ? *ibot_head : dino_head; }
  // "backbone.…", "dino_head.…", "ibot_head.…".
  NamedTensors parameters() const;
  void initialize(std::uint64_t seed);
  void set_compute_type(torch::ScalarType type);
  // Those of parameters() that are used in the compute type alone while the backbone's blocks run in the plain form, and the copies
  // that all three take for them.
  std::vector<torch::Tensor> product_weights() const;
  void set_product_copies(const std::shared_ptr<const ProductCopies>& copies);
};

// Scores of the heads, a row an image or patch.
struct CropScores {
  torch::Tensor global_cls;       // [2B, K]
  torch::Tensor local_cls;        // [L·B, K]; undefined without local crops
  torch::Tensor patches;          // [M, K of the patch head]; undefined when none were asked for
  torch::Tensor global_features;  // [2B, D] class tokens before the head
};

// Backbone on both groups together, heads on the rows that are needed and no others. locals_BCHW may be undefined.
CropScores score_crops(const HeadedBackbone& networks, const ImageGroup& globals,
                       const torch::Tensor& locals_BCHW, const torch::Tensor& patches_M,
                       const KeptSamples& kept_samples = {});

}  // namespace paddock::model
