#include "model/softmax_centering.h"

namespace paddock::model {

SoftmaxCentering::SoftmaxCentering(std::int64_t prototypes, double momentum, torch::Device device)
    : momentum_(momentum),
      center_(torch::zeros({1, prototypes}, torch::TensorOptions().dtype(torch::kFloat32).device(device))) {}

torch::Tensor SoftmaxCentering::targets(const torch::Tensor& scores_BK, double temperature) const {
  const torch::NoGradGuard no_grad;
  return ((scores_BK.to(torch::kFloat32) - center_) / temperature).softmax(-1);
}

void SoftmaxCentering::update(const std::vector<torch::Tensor>& scores_BK, const Shards& shards) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> means;
  for (const auto& scores : scores_BK)
    means.push_back(scores.size(0) > 0 ? scores.to(torch::kFloat32).mean(0, true)
                                       : torch::zeros_like(center_));
  const auto sum = shards.sum(std::move(means));
  center_.mul_(momentum_).add_(sum, (1 - momentum_) / static_cast<double>(shards.count()));
}

}  // namespace paddock::model
