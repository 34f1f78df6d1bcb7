// model/products.h – the three matrix products of a linear layer's forward and backward pass, as this processor does them
// fastest: oneDNN with the weight laid out beforehand where there is AVX-512, MKL elsewhere. Where the processor has no
// instructions for bfloat16, rows of bfloat16 are multiplied in float32 and rounded, which is many times faster than
// products that pretend.
// Letters: R rows, I inputs, O outputs of the layer. Rows are float32 or bfloat16 and come out as they went in; weights are
// float32. Not differentiable. Threads: any; LibTorch's pool works.
#pragma once

#include <torch/types.h>

namespace paddock::model {

// Whether products of bfloat16 are faster than those of float32 here.
bool has_fast_bfloat16();

// x · Wᵀ: [R, O]
torch::Tensor times_transposed(const torch::Tensor& x_RI, const torch::Tensor& weight_OI);
// y · W: [R, I]
torch::Tensor times(const torch::Tensor& y_RO, const torch::Tensor& weight_OI);
// yᵀ · x: [O, I], float32
torch::Tensor transposed_times(const torch::Tensor& y_RO, const torch::Tensor& x_RI);

}  // namespace paddock::model
