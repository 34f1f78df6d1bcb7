#include "model/dino_head.h"

#include <ATen/CPUGeneratorImpl.h>

#include <cmath>
#include <stdexcept>

namespace paddock::model {

DinoHead::DinoHead(const DinoHeadOptions& options, torch::Device device) : options_(options) {
  if (options.layers < 1) throw std::invalid_argument("a head needs at least one layer");
  const auto form = torch::TensorOptions().dtype(torch::kFloat32).device(device);
  for (std::int64_t i = 0; i < options.layers; ++i) {
    const std::int64_t in = i == 0 ? options.in_dim : options.hidden;
    const std::int64_t out = i + 1 == options.layers ? options.bottleneck : options.hidden;
    mlp_.emplace_back(torch::empty({out, in}, form), torch::empty({out}, form));
  }
  gain_ = torch::empty({options.prototypes, 1}, form);
  direction_ = torch::empty({options.prototypes, options.bottleneck}, form);
}

NamedTensors DinoHead::parameters() const {
  NamedTensors all;
  for (std::size_t i = 0; i < mlp_.size(); ++i) {
    // As in a sequence of linear, activation, linear, …, in which only the linears have parameters.
    const std::string name = mlp_.size() == 1 ? "mlp" : "mlp." + std::to_string(2 * i);
    all.emplace_back(name + ".weight", mlp_[i].first);
    all.emplace_back(name + ".bias", mlp_[i].second);
  }
  all.emplace_back("last_layer.weight_g", gain_);
  all.emplace_back("last_layer.weight_v", direction_);
  return all;
}

std::vector<torch::Tensor> DinoHead::product_weights() const {
  std::vector<torch::Tensor> all;
  for (const auto& [weight, bias] : mlp_) all.insert(all.end(), {weight, bias});
  return all;
}

void DinoHead::initialize(std::uint64_t seed) {
  const torch::NoGradGuard no_grad;
  auto generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  for (auto& [weight, bias] : mlp_) {
    weight.copy_(torch::empty(weight.sizes()).normal_(0, .02, generator));
    bias.zero_();
  }
  gain_.fill_(1);
  const double bound = 1 / std::sqrt(static_cast<double>(options_.bottleneck));
  direction_.copy_(torch::empty(direction_.sizes()).uniform_(-bound, bound, generator));
}

torch::Tensor DinoHead::forward(const torch::Tensor& features) const {
  auto x = features.to(weights_.type());
  for (std::size_t i = 0; i < mlp_.size(); ++i) {
    x = torch::linear(x, weights_(mlp_[i].first), weights_(mlp_[i].second));
    if (i + 1 < mlp_.size()) x = torch::gelu(x);
  }
  const auto wide = x.to(torch::kFloat32);
  x = (wide / wide.norm(2, -1, true).clamp_min(1e-12)).to(weights_.type());
  // w_k = g_k · v_k / ‖v_k‖
  return torch::linear(x, torch::_weight_norm(direction_, gain_, 0).to(weights_.type()));
}

}  // namespace paddock::model
