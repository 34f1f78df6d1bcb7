// model/ibot_loss.h – masked patch tokens of the student against the teacher's assignment of the same patches.
// Source: iBOT (arXiv 2111.07832) §3, DINOv2 (arXiv 2304.07193) §4. Letters: M masked patches, K prototypes.
#pragma once

#include <torch/types.h>

#include <cstdint>

namespace paddock::model {

// scores_MK the student's, targets_MK float32, weights_M = 1 / masked patches of the patch's image. Divided by all
// `global_images`, masked or not, as the reference does.
torch::Tensor ibot_loss(const torch::Tensor& scores_MK, const torch::Tensor& targets_MK,
                        const torch::Tensor& weights_M, std::int64_t global_images, double temperature);

}  // namespace paddock::model
