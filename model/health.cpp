#include "model/health.h"

#include <ATen/ops/linalg_eigvalsh.h>

#include <cmath>

namespace paddock::model {

TargetHealth target_health(const std::vector<torch::Tensor>& targets_BK, const Shards& shards) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> sums;  // [K + 2]: mean row, entropies, rows – all as sums
  for (const auto& targets : targets_BK) {
    const auto rows = targets.to(torch::kFloat32);
    const auto entropy = -torch::xlogy(rows, rows).sum(1, false, torch::kFloat64).sum();
    const auto count = torch::full({1}, static_cast<double>(rows.size(0)), entropy.options());
    sums.push_back(torch::cat({rows.sum(0, false, torch::kFloat64), entropy.view({1}), count}));
  }
  const auto all = shards.sum(std::move(sums)).cpu();
  const std::int64_t prototypes = all.numel() - 2;
  const double rows = all[prototypes + 1].item<double>();
  if (rows == 0) return {};
  const auto mean = all.narrow(0, 0, prototypes) / rows;
  const double log_prototypes = std::log(static_cast<double>(prototypes));
  TargetHealth health;
  health.entropy = all[prototypes].item<double>() / rows / log_prototypes;
  health.kl_to_uniform = log_prototypes + torch::xlogy(mean, mean).sum().item<double>();
  return health;
}

FeatureHealth feature_health(const std::vector<torch::Tensor>& features_BD, const Shards& shards) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> own;
  for (const auto& features : features_BD) own.push_back(features.to(torch::kFloat32));
  const auto all = shards.gather(own).flatten(0, 1).to(torch::kCPU, torch::kFloat64);  // [rows, D]
  const auto unit = all / all.norm(2, 1, true).clamp_min(1e-12);
  const auto centred = unit - unit.mean(0, true);
  const double width = static_cast<double>(all.size(1));
  FeatureHealth health;
  health.spread = centred.square().mean(0).sqrt().mean().item<double>() * std::sqrt(width);
  // The smaller of the two Gram matrices has the same squared singular values.
  const auto gram = all.size(0) < all.size(1) ? centred.mm(centred.t()) : centred.t().mm(centred);
  const auto squares = at::linalg_eigvalsh(gram).clamp_min(0);
  const double total = squares.sum().item<double>();
  if (total <= 1e-12) return health;
  const auto shares = squares / total;
  health.effective_rank = std::exp(-torch::xlogy(shares, shares).sum().item<double>());
  return health;
}

}  // namespace paddock::model
