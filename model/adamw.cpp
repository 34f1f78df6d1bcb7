#include "model/adamw.h"

#include <cmath>
#include <map>

namespace paddock::model {

ParameterMultipliers multipliers_of(const std::string& name, const LayerwiseDecay& layers) {
  ParameterMultipliers multipliers;
  multipliers.is_last_layer = name.find("last_layer") != std::string::npos;
  if (name.ends_with(".bias") || name.find("norm") != std::string::npos ||
      name.find("gamma") != std::string::npos)
    multipliers.wd = 0;
  constexpr std::string_view kBackbone = "backbone.";
  if (!name.starts_with(kBackbone)) return multipliers;
  const std::string inner = name.substr(kBackbone.size());
  std::int64_t layer = layers.depth + 1;  // the final norm
  if (inner.starts_with("blocks."))
    layer = 1 + std::stoll(inner.substr(7));
  else if (!inner.starts_with("norm."))
    layer = 0;  // patches, positions and the special tokens
  multipliers.lr = std::pow(layers.decay, static_cast<double>(layers.depth + 1 - layer));
  if (inner.starts_with("patch_embed.")) multipliers.lr *= layers.patch_embed_mult;
  return multipliers;
}

AdamW::AdamW(FlatParameters& parameters, const LayerwiseDecay& layers, const AdamWOptions& options)
    : options_(options),
      first_(torch::zeros_like(parameters.values())),
      second_(torch::zeros_like(parameters.values())),
      count_(torch::zeros({}, parameters.values().options())) {
  std::map<ParameterMultipliers, std::size_t> known;
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < parameters.tensors().size(); ++i) {
    const auto& [name, tensor] = parameters.tensors()[i];
    const auto multipliers = multipliers_of(name, layers);
    const auto [it, is_new] = known.try_emplace(multipliers, groups_.size());
    if (is_new) groups_.push_back({multipliers, {}, {}, {}, {}, {}});
    Group& group = groups_[it->second];
    group.values.push_back(tensor.detach());  // shares storage, outside the graph
    group.gradients.push_back(parameters.gradient_views()[i]);
    group.first.push_back(first_.narrow(0, offset, tensor.numel()).view(tensor.sizes()));
    group.second.push_back(second_.narrow(0, offset, tensor.numel()).view(tensor.sizes()));
    group.steps.push_back(count_);
    offset += tensor.numel();
  }
}

void AdamW::step(const AdamWStep& values) {
  const torch::NoGradGuard no_grad;
  count_.fill_(static_cast<double>(++updates_));
  for (Group& group : groups_) {
    const double lr =
        (group.multipliers.is_last_layer ? values.last_layer_lr : values.lr) * group.multipliers.lr;
    at::_fused_adamw_(group.values, group.gradients, group.first, group.second, {}, group.steps, lr,
                      options_.beta1, options_.beta2, values.weight_decay * group.multipliers.wd,
                      options_.epsilon, false, false);
  }
}

double clip_gradients(FlatParameters& parameters, const std::string& prefix, double max_norm) {
  const torch::NoGradGuard no_grad;
  std::int64_t begin = -1, end = 0, offset = 0;
  for (const auto& [name, tensor] : parameters.tensors()) {
    if (name.starts_with(prefix)) {
      if (begin < 0) begin = offset;
      end = offset + tensor.numel();
    }
    offset += tensor.numel();
  }
  if (begin < 0) return 0;
  auto gradients =
      parameters.gradients().narrow(0, begin, end - begin);  // a network's parameters lie together
  const double norm = gradients.norm().item<double>();
  if (max_norm > 0 && std::isfinite(norm) && norm > max_norm) gradients.mul_(max_norm / (norm + 1e-6));
  return norm;
}

}  // namespace paddock::model
