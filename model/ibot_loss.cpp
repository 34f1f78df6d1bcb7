#include "model/ibot_loss.h"

#include "model/cross_entropy.h"

namespace paddock::model {

torch::Tensor ibot_loss(const torch::Tensor& scores_MK, const torch::Tensor& targets_MK,
                        const torch::Tensor& weights_M, std::int64_t global_images, double temperature) {
  return soft_cross_entropy(scores_MK, targets_MK, weights_M / static_cast<double>(global_images),
                            temperature);
}

}  // namespace paddock::model
