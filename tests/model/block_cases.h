// tests/model/block_cases.h – small networks of every kind of block, and a training pass through one.
#pragma once

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "model/vision_transformer.h"

namespace paddock::model {

struct Case {
  std::string name;
  std::function<void(VisionTransformerOptions&)> change;
  std::int64_t little = 24;  // side of the smaller views
};

inline void PrintTo(const Case& each, std::ostream* out) {
  *out << each.name;
}

inline VisionTransformerOptions options_of(const Case& each) {
  VisionTransformerOptions options;
  options.image_height = options.image_width = 56;
  options.patch_size = 8;
  options.embed_dim = 96;
  options.depth = 3;
  options.heads = 3;
  options.layerscale = .5;
  each.change(options);
  return options;
}

// Weights want gradients, unless gradients are switched off.
inline VisionTransformer network_of(const Case& each, bool is_fused) {
  VisionTransformer network(options_of(each));
  network.initialize(3);
  torch::manual_seed(1);
  const bool is_training = at::GradMode::is_enabled();
  for (auto& [name, tensor] : network.parameters()) {
    const torch::NoGradGuard no_grad;
    // Gains and biases as training leaves them: none is 1 or 0.
    if (tensor.dim() == 1) torch::Tensor(tensor).add_(torch::randn(tensor.sizes()) * .2);
    torch::Tensor(tensor).set_requires_grad(is_training);
  }
  network.set_fused(is_fused);
  return network;
}

// Keeps the last samples, in falling order.
inline std::vector<std::int64_t> last_samples(std::int64_t block, int branch, std::int64_t,
                                              std::int64_t batch, std::int64_t kept) {
  std::vector<std::int64_t> samples;
  for (std::int64_t i = 0; i < kept; ++i) samples.push_back((batch - 1 - i + block + branch) % batch);
  return samples;
}

struct Outcome {
  std::vector<torch::Tensor> outputs;
  NamedTensors gradients;
};

inline Outcome train(const VisionTransformer& network, std::int64_t side = 24) {
  torch::manual_seed(9);
  const auto large = torch::randn({3, 3, 56, 56}), little = torch::randn({5, 3, side, side});
  const auto masks = torch::rand({3, 49}).lt(.4);
  const auto index = torch::tensor({0, 5, 48, 49, 100, 5}, torch::kInt64);
  const KeptSamples kept = network.options().drop_path > 0 ? KeptSamples(last_samples) : KeptSamples();
  const auto features = network.forward_picked({{large, masks}, {little, {}}}, index, kept);
  Outcome outcome;
  outcome.outputs = {features.cls_BD[0], features.cls_BD[1], features.patches_MD};
  auto loss = torch::zeros({});
  for (const auto& output : outcome.outputs) loss = loss + (output * torch::randn(output.sizes())).sum();
  loss.backward();
  for (const auto& [name, tensor] : network.parameters()) {
    if (tensor.grad().defined()) outcome.gradients.emplace_back(name, tensor.grad());
  }
  return outcome;
}

inline double relative_distance(const torch::Tensor& a, const torch::Tensor& b) {
  return ((a - b).abs().max() / (b.abs().max() + 1e-20)).item<double>();
}

// Sets the number of LibTorch's threads for a while.
class Threads {
 public:
  explicit Threads(int count) : before_(at::get_num_threads()) { at::set_num_threads(count); }
  ~Threads() { at::set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  const int before_;
};

}  // namespace paddock::model
