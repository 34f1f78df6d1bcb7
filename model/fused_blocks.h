// model/fused_blocks.h – the transformer's blocks on a CPU: forward and backward written out, few passes
// over memory.
// What vision_transformer.cpp says in LibTorch's operations, with the same numbers but for rounding:
// – All that is linear beside a product is folded into its weights (block_weights.h), so LayerNorm's gains
// and biases,
//   LayerScale and the biases of keys and values cost nothing a token, and a branch is added to the residual
// stream by the
//   product itself.
// – Attention a head at a time in cache, nothing of its scores is kept; activation and bias in one pass; the
// activation's
//   output is made again in the backward pass.
// – Sums over tokens run over fixed blocks of rows in a fixed order: threads change no bit.
// Letters: R rows (tokens of all groups), S rows of a branch, P picked rows, D width, H hidden, I inputs of
// the activation.
// With bfloat16 the products and attention read and write it; the residual stream, statistics and sums are float32.
// Threads: from one; uses LibTorch's pool. On the CPU.
#pragma once

#include <torch/types.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "model/block_weights.h"
#include "model/kernels/activation.h"
#include "model/token_layout.h"

namespace paddock::model {

// Stochastic depth: what a branch of a block runs on.
struct BranchRows {
  torch::Tensor rows_S;     // int64, distinct, image by image; undefined: all
  torch::Tensor factors_S;  // float32: how much a row's branch counts
  TokenLayout layout;       // of the S rows
};

struct BlockRun {
  TokenLayout layout;
  std::int64_t heads = 1;
  double epsilon = 1e-6;
  Activation activation = Activation::kGelu;
  std::vector<std::array<BranchRows, 2>>
      kept;  // a block each: attention, feed-forward; empty: no stochastic depth
  torch::Tensor
      picked_P;  // int64: rows that are wanted of the last block, which skips the others past keys and values;
                 // undefined: all. Not together with `kept`.
  torch::ScalarType compute = torch::kFloat32;  // of what products read and write: or kBFloat16
  // The backward pass makes what it needs of a block again from the block's input, which alone is kept: the same bits for less
  // memory and a second forward pass.
  bool is_recomputing = false;
};

// x_RD through `blocks`: [R, D], or [P, D] with picked rows. Differentiable in x and all weights.
torch::Tensor run_fused_blocks(const torch::Tensor& x_RD, const std::vector<BlockWeights>& blocks,
                               const BlockRun& run);

}  // namespace paddock::model
