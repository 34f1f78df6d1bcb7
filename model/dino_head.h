// model/dino_head.h – features to scores over prototypes: an MLP, the unit sphere, a weight-normed linear layer.
// Source: DINO (arXiv 2104.14294) §3, with DINOv2's trainable gains. Letters: D input width, K prototypes, rows any number.
// Names: mlp.0.weight … (mlp.weight with one layer), last_layer.weight_g [K, 1], last_layer.weight_v [K, bottleneck].
// Threads: const members from any thread.
#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "model/product_weights.h"
#include "model/weights.h"

namespace paddock::model {

struct DinoHeadOptions {
  std::int64_t in_dim = 384;
  std::int64_t prototypes = 65536;
  std::int64_t hidden = 2048;
  std::int64_t bottleneck = 256;
  std::int64_t layers = 3;  // linear layers of the MLP; 1: straight to the bottleneck
  bool operator==(const DinoHeadOptions&) const = default;
};

class DinoHead {
 public:
  explicit DinoHead(const DinoHeadOptions& options, torch::Device device = torch::kCPU);

  const DinoHeadOptions& options() const { return options_; }
  NamedTensors parameters() const;
  void initialize(std::uint64_t seed);
  void set_compute_type(torch::ScalarType type) { weights_.set_type(type); }
  // Those of parameters() that are used in the compute type alone: the MLP's.
  std::vector<torch::Tensor> product_weights() const;
  void set_product_copies(std::shared_ptr<const ProductCopies> copies) {
    weights_.set_copies(std::move(copies));
  }

  // Any float type [rows, D] → scores [rows, K] in the compute type.
  torch::Tensor forward(const torch::Tensor& features) const;

 private:
  const DinoHeadOptions options_;
  ProductWeights weights_;
  std::vector<std::pair<torch::Tensor, torch::Tensor>> mlp_;  // weight, bias
  torch::Tensor gain_, direction_;                            // weight_g, weight_v
};

}  // namespace paddock::model
