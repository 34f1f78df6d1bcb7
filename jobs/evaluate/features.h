// jobs/evaluate/features.h – what a frozen backbone says about pictures: features for the protocols, maps for
// the report. The backbone runs in evaluation: no gradient, no dropped paths, no masks. Pictures are of any size
// that its side policy takes, decoded with as many channels as the normalisation has, which is the one that the
// backbone was trained with. Threads: one caller; batches are shared out to `threads`, each batch computed by one
// of them, so that values do not depend on their number.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <torch/types.h>

#include "data/image.h"
#include "data/normalization.h"
#include "jobs/evaluate/feature_table.h"
#include "jobs/evaluate/report.h"
#include "model/vision_transformer.h"

namespace paddock::evaluate {

// Pictures of one size as a batch the backbone takes, float32.
torch::Tensor as_batch_BCHW(const std::vector<const data::Image*>& pictures,
                            const data::Normalization& normalization);

// A picture's row, after the last norm. `features`: "cls" is the class token; "cls_patchmean" the class token with
// the mean of the patch tokens behind it; "patches" all N patch tokens, row-major [N, D].
// Pictures one after the other that are of one size go through together, up to `batch`.
// `progress` is called after each batch, by one thread at a time, with the pictures done.
// Throws std::invalid_argument for sizes that the policy refuses and for patches of different grids.
FeatureTable features_of(const model::VisionTransformer& backbone, const data::Normalization& normalization,
                         const std::vector<const data::Image*>& pictures, const std::string& features,
                         std::size_t batch, int threads, const std::function<void(std::size_t)>& progress);

// Attention of the last block from the class token and each register to the patches; the columns of class
// token and registers are left out, the rest is not renormalised. One map a head, one pixel a patch.
AttentionRow attention_of(const model::VisionTransformer& backbone, const data::Normalization& normalization,
                          const data::Image& picture, const std::string& source);

// Joint principal components of the normed patch tokens of all pictures. The first splits foreground from
// background at zero; its sign is arbitrary, so foreground is the side with the smaller share of the
// pictures' borders. Three components of the foreground alone, each from its 2nd to its 98th percentile, are
// red, green and blue.
ComponentsRow components_of(const model::VisionTransformer& backbone,
                            const data::Normalization& normalization,
                            const std::vector<const data::Image*>& pictures);

}  // namespace paddock::evaluate
