#include "model/softmax_centering.h"

namespace paddock::model {

SoftmaxCentering::SoftmaxCentering(std::int64_t prototypes, double momentum, torch::Device device)
    : momentum_(momentum),
      center_(torch::zeros({1, prototypes}, torch::TensorOptions().dtype(torch::kFloat32).device(device))) {}

torch::Tensor SoftmaxCentering::targets_without_update(const torch::Tensor& scores_BK,
                                                       double temperature) const {
  const torch::NoGradGuard no_grad;
  return ((scores_BK.to(torch::kFloat32) - center_) / temperature).softmax(-1);
}

torch::Tensor SoftmaxCentering::targets(const torch::Tensor& scores_BK, double temperature,
                                        Collective& ranks) {
  const torch::NoGradGuard no_grad;
  auto probabilities = targets_without_update(scores_BK, temperature);
  auto mean =
      scores_BK.size(0) > 0 ? scores_BK.to(torch::kFloat32).mean(0, true) : torch::zeros_like(center_);
  ranks.all_reduce_sum(mean);
  center_.mul_(momentum_).add_(mean, (1 - momentum_) / static_cast<double>(ranks.ranks()));
  return probabilities;
}

}  // namespace paddock::model
