#include "model/dino_loss.h"

#include <algorithm>

#include "model/cross_entropy.h"

namespace paddock::model {

std::int64_t dino_pairs(std::int64_t local_crops) {
  return 2 + std::max<std::int64_t>(2 * local_crops, 1);
}

torch::Tensor dino_local_sum(const torch::Tensor& local_scores, const torch::Tensor& targets_2BK,
                             std::int64_t local_crops, double temperature) {
  if (local_crops == 0) return torch::zeros({}, targets_2BK.options());
  const auto halves = targets_2BK.chunk(2, 0);
  const std::int64_t images = halves[0].size(0);
  // Cross-entropy is linear in the target: both teacher crops at once.
  const auto targets = (halves[0] + halves[1]).repeat({local_crops, 1});
  const auto weights =
      torch::full({local_crops * images}, 1.0 / static_cast<double>(images), targets.options());
  return soft_cross_entropy(local_scores, targets, weights, temperature);
}

torch::Tensor dino_global_sum(const torch::Tensor& global_scores, const torch::Tensor& targets_2BK,
                              double temperature) {
  const auto halves = targets_2BK.chunk(2, 0);
  const std::int64_t images = halves[0].size(0);
  const auto weights = torch::full({2 * images}, 1.0 / static_cast<double>(images), targets_2BK.options());
  return soft_cross_entropy(global_scores, torch::cat({halves[1], halves[0]}, 0), weights, temperature);
}

}  // namespace paddock::model
