// model/sinkhorn_knopp.h – teacher scores to a balanced assignment of samples to prototypes.
// Source: SwAV (arXiv 2006.09882) §3.1, DINOv2 (arXiv 2304.07193) §4. Letters: B samples of a shard, K prototypes.
// The paper's Q = exp(scores/τ) is rescaled in turn so that each prototype gets 1/K and each sample 1/(all samples). Here
// Q stays as it is and only the two vectors of factors are iterated: Q'_bk = u_b · Q_bk · r_k. Each row's maximum is taken
// out into u, so nothing overflows, and a global factor cancels, so the result is the paper's.
#pragma once

#include <torch/types.h>

#include <vector>

#include "model/shards.h"

namespace paddock::model {

// kOfDevice: on a CPU one visit of memory a step (model/kernels/sinkhorn.h), elsewhere LibTorch's operations, which are kPlain.
enum class SinkhornForm { kOfDevice, kPlain };

// scores_BK: of each own shard, any float type, B may be 0 and differ between shards; returns [B, K] float32, rows sum to 1.
// temperature > 0, iterations ≥ 1. Collective: every rank calls it together. Throws std::invalid_argument on a wrong shape.
std::vector<torch::Tensor> sinkhorn_knopp(const std::vector<torch::Tensor>& scores_BK, double temperature,
                                          int iterations, const Shards& shards,
                                          SinkhornForm form = SinkhornForm::kOfDevice);
// The same with one shard a rank.
torch::Tensor sinkhorn_knopp(const torch::Tensor& scores_BK, double temperature, int iterations,
                             Collective& ranks);

// One rank, float64, step by step as the paper writes it.
torch::Tensor sinkhorn_knopp_reference(const torch::Tensor& scores_BK, double temperature, int iterations);

}  // namespace paddock::model
