// model/packed_blocks.h – the transformer's blocks on a CPU where no gradients are wanted: features, and the teacher.
// The same numbers as run_fused_blocks gives, but for rounding, by the kernels of kernels/packed_block.h. Weights are packed
// anew in every call, which costs a hundredth of 32 images, so there is no copy that could be out of date. A thread takes
// whole images; those that are left over are divided between all threads. A token's bits depend neither on the number of
// threads nor on the other images.
// Threads: from one; uses LibTorch's pool. Float32 on the CPU.
#pragma once

#include <torch/types.h>

#include <vector>

#include "model/fused_blocks.h"

namespace paddock::model {

// Whether processor, shapes and `run` allow it: AVX2 or AVX-512, heads and feed-forward of whole vectors (16 or 32 wide), no
// stochastic depth.
bool can_run_packed(const std::vector<BlockWeights>& blocks, const BlockRun& run);

// As run_fused_blocks, without gradients. x_RD is not changed.
torch::Tensor run_packed_blocks(const torch::Tensor& x_RD, const std::vector<BlockWeights>& blocks,
                                const BlockRun& run);

}  // namespace paddock::model
