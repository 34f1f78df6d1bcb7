#include "model/cross_entropy.h"

#include <torch/csrc/autograd/custom_function.h>

namespace paddock::model {
namespace {

// d/dscores = weight · (Σ_k target_k · softmax(scores/τ) − target) / τ: known in the forward pass but for the outer factor,
// so that is what is kept.
struct SoftCrossEntropy : torch::autograd::Function<SoftCrossEntropy> {
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& scores,
                               const torch::Tensor& targets, const torch::Tensor& weights,
                               double temperature) {
    auto log_probabilities = torch::log_softmax(scores.to(torch::kFloat32).div(temperature), -1);
    const auto loss = -(targets * log_probabilities).sum(-1).dot(weights);
    auto gradient = log_probabilities.exp_()
                        .mul_(targets.sum(-1, true))
                        .sub_(targets)
                        .mul_(weights.unsqueeze(1) / temperature);
    context->save_for_backward({gradient});
    context->saved_data["type"] = static_cast<std::int64_t>(scores.scalar_type());
    return loss;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list outer) {
    const auto type = static_cast<torch::ScalarType>(context->saved_data["type"].toInt());
    return {(context->get_saved_variables()[0] * outer[0]).to(type), {}, {}, {}};
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
