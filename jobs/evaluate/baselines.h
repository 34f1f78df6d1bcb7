// jobs/evaluate/baselines.h – features without a model: the floors every model is shown beside.
// On pictures whose labels follow colour or layout these are not low; a model that does not clear them has
// learnt nothing the labels need. Threads: pure functions.
#pragma once

#include <vector>

#include "data/image.h"
#include "jobs/evaluate/feature_table.h"

namespace paddock::evaluate {

// Means of RGB over 32×32 cells minus the picture's own mean a channel: 3,072 components.
FeatureTable raw_pixels(const std::vector<const data::Image*>& pictures);

// Shares of the 4×4×4 cells of RGB space: 64 components.
FeatureTable color_histogram(const std::vector<const data::Image*>& pictures);

}  // namespace paddock::evaluate
