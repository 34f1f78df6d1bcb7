#include "model/block_weights.h"

#include <ATen/Parallel.h>

#include <algorithm>

namespace paddock::model {
namespace {

torch::Tensor times(const torch::Tensor& x, const torch::Tensor& gain) {
  return gain.defined() ? x * gain : x;
}

torch::Tensor scale_rows(const torch::Tensor& weight, const torch::Tensor& gain) {
  return gain.defined() ? weight * gain.unsqueeze(1) : weight;
}

// W · (gain ∘ x + bias): gradients of W, gain and bias from that of W ∘ gain and of the product's own bias.
struct NormedGradients {
  torch::Tensor weight, gain, bias;
};
// matrix + column · rowᵀ, whole rows a thread: addr_() divides them between threads wherever it likes, and rounds what is left
// over of a vector otherwise than the rest, so its bits depend on their number.
torch::Tensor add_outer_product(torch::Tensor matrix_OI, const torch::Tensor& column_O,
                                const torch::Tensor& row_I) {
  const std::int64_t width = matrix_OI.size(1);
  const auto column = column_O.contiguous(), row = row_I.contiguous();
  TORCH_CHECK(matrix_OI.is_contiguous() && matrix_OI.scalar_type() == torch::kFloat32);
  float* const sums = matrix_OI.data_ptr<float>();
  const float* const factors = column.data_ptr<float>();
  const float* const terms = row.data_ptr<float>();
  at::parallel_for(0, matrix_OI.size(0), std::max<std::int64_t>(1, 16'384 / width),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t o = begin; o < end; ++o) {
                       for (std::int64_t i = 0; i < width; ++i) sums[o * width + i] += factors[o] * terms[i];
                     }
                   });
  return matrix_OI;
}

NormedGradients unfold_columns(const torch::Tensor& weight, const torch::Tensor& folded_gradient,
                               const torch::Tensor& bias_gradient, const torch::Tensor& gain,
                               const torch::Tensor& bias) {
  NormedGradients gradients;
  gradients.gain = (weight * folded_gradient).sum(0);
  gradients.bias = weight.t().mv(bias_gradient);
  gradients.weight = add_outer_product(torch::Tensor(folded_gradient).mul_(gain), bias_gradient, bias);
  return gradients;
}

}  // namespace

std::vector<torch::Tensor> tensors_of(const BlockWeights& b) {
  return {b.norm1_weight, b.norm1_bias, b.qkv_weight, b.qkv_bias, b.proj_weight, b.proj_bias, b.ls1,
          b.norm2_weight, b.norm2_bias, b.in_weight,  b.in_bias,  b.out_weight,  b.out_bias,  b.ls2};
}

BlockWeights block_of(const torch::Tensor* t) {
  return {t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7], t[8], t[9], t[10], t[11], t[12], t[13]};
}

FoldedBlock fold(const BlockWeights& block) {
  const std::int64_t width = block.proj_weight.size(0);
  FoldedBlock folded;
  folded.qkv_weight = block.qkv_weight * block.norm1_weight;
  const auto qkv_bias = torch::addmv(block.qkv_bias, block.qkv_weight, block.norm1_bias);
  folded.query_bias = qkv_bias.narrow(0, 0, width);
  folded.value_bias = qkv_bias.narrow(0, 2 * width, width);
  folded.proj_weight = scale_rows(block.proj_weight, block.ls1);
  folded.proj_bias = times(torch::addmv(block.proj_bias, block.proj_weight, folded.value_bias), block.ls1);
  folded.in_weight = block.in_weight * block.norm2_weight;
  folded.in_bias = torch::addmv(block.in_bias, block.in_weight, block.norm2_bias);
  folded.out_weight = scale_rows(block.out_weight, block.ls2);
  folded.out_bias = times(block.out_bias, block.ls2);
  return folded;
}

BlockWeights unfold_gradients(const BlockWeights& block, const FoldedBlock& folded,
                              const FoldedBlock& gradients) {
  BlockWeights unfolded;
  const auto value_bias = folded.proj_weight.t().mv(gradients.proj_bias);
  unfolded.proj_bias = times(gradients.proj_bias, block.ls1);
  if (block.ls1.defined()) {
    unfolded.ls1 = (block.proj_weight * gradients.proj_weight).sum(1) +
                   torch::addmv(block.proj_bias, block.proj_weight, folded.value_bias) * gradients.proj_bias;
  }
  unfolded.proj_weight =
      add_outer_product(scale_rows(gradients.proj_weight, block.ls1), unfolded.proj_bias, folded.value_bias);
  unfolded.qkv_bias = torch::cat({gradients.query_bias, torch::zeros_like(value_bias), value_bias});
  const auto qkv = unfold_columns(block.qkv_weight, gradients.qkv_weight, unfolded.qkv_bias,
                                  block.norm1_weight, block.norm1_bias);
  unfolded.qkv_weight = qkv.weight;
  unfolded.norm1_weight = qkv.gain;
  unfolded.norm1_bias = qkv.bias;

  unfolded.out_bias = times(gradients.out_bias, block.ls2);
  if (block.ls2.defined())
    unfolded.ls2 = (block.out_weight * gradients.out_weight).sum(1) + block.out_bias * gradients.out_bias;
  unfolded.out_weight = scale_rows(gradients.out_weight, block.ls2);
  unfolded.in_bias = gradients.in_bias;
  const auto in = unfold_columns(block.in_weight, gradients.in_weight, gradients.in_bias, block.norm2_weight,
                                 block.norm2_bias);
  unfolded.in_weight = in.weight;
  unfolded.norm2_weight = in.gain;
  unfolded.norm2_bias = in.bias;
  return unfolded;
}

}  // namespace paddock::model
