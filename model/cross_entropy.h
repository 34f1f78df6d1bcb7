// model/cross_entropy.h – cross-entropy of soft targets, as all DINOv2 losses use it, with its own backward pass.
// Letters: rows any number, K prototypes.
#pragma once

#include <torch/types.h>

namespace paddock::model {

// −Σ_rows weight_row · Σ_k target_k · log softmax(scores / temperature)_k, a float32 scalar.
// scores [rows, K] any float type; targets [rows, K] float32, no gradient, rows need not sum to 1; weights [rows] float32.
torch::Tensor soft_cross_entropy(const torch::Tensor& scores, const torch::Tensor& targets,
                                 const torch::Tensor& weights, double temperature);

// The same spelled out in differentiable operations: slow, and what the tests compare with.
torch::Tensor soft_cross_entropy_reference(const torch::Tensor& scores, const torch::Tensor& targets,
                                           const torch::Tensor& weights, double temperature);

}  // namespace paddock::model
