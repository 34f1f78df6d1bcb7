// model/block_weights.h – the weights of a transformer block, and the same folded into its four products.
// A block computes, with n(·) a LayerNorm without gain and bias, on every token x:
//     x += ls1 ∘ (W_proj · attention(W_qkv · (g₁ ∘ n(x) + β₁) + b_qkv) + b_proj)
//     x += ls2 ∘ (W_out · activation(W_in · (g₂ ∘ n(x) + β₂) + b_in) + b_out)
// Gains of the norms scale columns of the weights that follow, LayerScale scales rows of those before it.
// Probabilities sum
// to 1, so a bias of the values passes through attention unchanged and joins that of the projection; a bias
// of the keys
// shifts all scores of a query alike, which softmax does not see. What is left is
//     x += P · attention(A · n(x) + [a 0 0]) + p,    x += Q · activation(C · n(x) + c) + q
// Threads: pure functions. Float32. Letters: D width, H hidden, I inputs of the activation.
#pragma once

#include <torch/types.h>

#include <vector>

namespace paddock::model {

struct BlockWeights {
  torch::Tensor norm1_weight, norm1_bias, qkv_weight, qkv_bias, proj_weight, proj_bias,
      ls1;  // ls1, ls2: undefined where
  torch::Tensor norm2_weight, norm2_bias, in_weight, in_bias, out_weight, out_bias,
      ls2;  // there is no LayerScale
};

// In the order of the struct.
inline constexpr std::size_t kBlockWeights = 14;
std::vector<torch::Tensor> tensors_of(const BlockWeights& block);
BlockWeights block_of(const torch::Tensor* tensors);

struct FoldedBlock {
  torch::Tensor qkv_weight;              // A [3D, D]
  torch::Tensor query_bias;              // a [D]
  torch::Tensor value_bias;              // [D], part of p
  torch::Tensor proj_weight, proj_bias;  // P [D, D], p [D]
  torch::Tensor in_weight, in_bias;      // C [I, D], c [I]
  torch::Tensor out_weight, out_bias;    // Q [D, H], q [D]
};
FoldedBlock fold(const BlockWeights& block);

// From gradients of A, a, P, p, C, c, Q, q (those of the value bias follow from them) to those of the
// block's weights. Takes
// the large ones over.
BlockWeights unfold_gradients(const BlockWeights& block, const FoldedBlock& folded,
                              const FoldedBlock& gradients);

}  // namespace paddock::model
