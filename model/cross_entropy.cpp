#include "model/cross_entropy.h"

#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include "model/kernels/soft_cross_entropy.h"

namespace paddock::model {
namespace {

struct LossAndGradient {
  torch::Tensor loss, gradient;  // a number; like the scores
};

template <class T>
LossAndGradient in_one_visit(const torch::Tensor& scores, const torch::Tensor& targets,
                             const torch::Tensor& weights, double temperature) {
  const auto gradient = torch::empty_like(scores);
  const auto losses = torch::empty({scores.size(0)}, torch::kFloat32);
  const ScoredRows<T> rows{static_cast<const T*>(scores.const_data_ptr()),
                           targets.const_data_ptr<float>(),
                           weights.const_data_ptr<float>(),
                           scores.size(1),
                           static_cast<float>(temperature),
                           static_cast<T*>(gradient.mutable_data_ptr()),
                           losses.mutable_data_ptr<float>()};
  at::parallel_for(0, scores.size(0), 1,
                   [&](std::int64_t begin, std::int64_t end) { soft_cross_entropy_rows(rows, begin, end); });
  // One after the other, whatever the number of threads.
  const auto* each = losses.const_data_ptr<float>();
  double loss = 0;
  for (std::int64_t r = 0; r < losses.size(0); ++r) loss += each[r];
  return {torch::scalar_tensor(loss, torch::kFloat32), gradient};
}

LossAndGradient by_operations(const torch::Tensor& scores, const torch::Tensor& targets,
                              const torch::Tensor& weights, double temperature) {
  auto log_probabilities = torch::log_softmax(scores.to(torch::kFloat32).div(temperature), -1);
  const auto loss = -(targets * log_probabilities).sum(-1).dot(weights);
  auto gradient = log_probabilities.exp_()
                      .mul_(targets.sum(-1, true))
                      .sub_(targets)
                      .mul_(weights.unsqueeze(1) / temperature);
  return {loss, gradient.to(scores.scalar_type())};
}

LossAndGradient loss_and_gradient(const torch::Tensor& scores, const torch::Tensor& targets,
                                  const torch::Tensor& weights, double temperature) {
  if (!scores.device().is_cpu()) return by_operations(scores, targets, weights, temperature);
  const auto dense = scores.contiguous(), dense_targets = targets.contiguous(), each = weights.contiguous();
  if (scores.scalar_type() == torch::kFloat32)
    return in_one_visit<float>(dense, dense_targets, each, temperature);
  return in_one_visit<Bfloat16>(dense, dense_targets, each, temperature);
}

// d/dscores = weight · (Σ_k target_k · softmax(scores/τ) − target) / τ: known in the forward pass but for the outer factor,
// so that is what is kept.
struct SoftCrossEntropy : torch::autograd::Function<SoftCrossEntropy> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& scores,
                               const torch::Tensor& targets, const torch::Tensor& weights,
                               double temperature) {
    const auto both = loss_and_gradient(scores, targets, weights, temperature);
    context->save_for_backward({both.gradient});
    return both.loss;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list outer) {
    const auto gradient = context->get_saved_variables()[0];
    return {gradient * outer[0], {}, {}, {}};
  }
};

}  // namespace

torch::Tensor soft_cross_entropy(const torch::Tensor& scores, const torch::Tensor& targets,
                                 const torch::Tensor& weights, double temperature) {
  return SoftCrossEntropy::apply(scores, targets, weights, temperature);
}

torch::Tensor soft_cross_entropy_reference(const torch::Tensor& scores, const torch::Tensor& targets,
                                           const torch::Tensor& weights, double temperature) {
  const auto log_probabilities = torch::log_softmax(scores.to(torch::kFloat32) / temperature, -1);
  return -((targets * log_probabilities).sum(-1) * weights).sum();
}

}  // namespace paddock::model
