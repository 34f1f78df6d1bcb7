// model/dino_loss.h – class tokens of the student's crops against the teacher's assignment of the global crops.
// Source: DINO (arXiv 2104.14294) §3.1, DINOv2 (arXiv 2304.07193) §4. Letters: B images of this rank, L local crops,
// K prototypes. Rows are crop-major: all images' first crops, then the second ones.
#pragma once

#include <torch/types.h>

#include <cstdint>

namespace paddock::model {

// The number of (student crop, teacher crop) pairs: 2·L local ones and the 2 crossed global ones. Both losses are divided
// by it, so that their sum is a mean over pairs.
std::int64_t dino_pairs(std::int64_t local_crops);

// local_scores [L·B, K], targets_2BK float32 in the teacher's order: the sum over pairs of the mean over images. 0 if L = 0.
torch::Tensor dino_local_sum(const torch::Tensor& local_scores, const torch::Tensor& targets_2BK,
                             std::int64_t local_crops, double temperature);

// Student crop 1 learns from teacher crop 2 and the other way round. global_scores [2B, K]: the sum over both pairs.
torch::Tensor dino_global_sum(const torch::Tensor& global_scores, const torch::Tensor& targets_2BK,
                              double temperature);

}  // namespace paddock::model
