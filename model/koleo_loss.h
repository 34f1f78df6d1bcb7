// model/koleo_loss.h – spreads the features of a batch: −mean log of the distance to the nearest neighbour.
// Source: Sablayrolles et al. (arXiv 1806.03198), DINOv2 (arXiv 2304.07193) §4. Always float32: in half precision the
// epsilon vanishes and two equal rows give infinity.
#pragma once

#include <torch/types.h>

namespace paddock::model {

// features_BD of one crop before the head, any float type. One row has no neighbour: 0.
torch::Tensor koleo_loss(const torch::Tensor& features_BD);

}  // namespace paddock::model
