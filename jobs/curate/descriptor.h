// jobs/curate/descriptor.h – what a picture looks like, without a trained model: a vector made by hand.
// For finding copies before any model exists: it survives resizing and re-encoding and tells layouts, edges
// and colours apart; it knows nothing of meaning. Four parts and a fifth for the shape, each a unit vector
// times the square root of its weight, so that the cosine of two descriptors is the weighted mean of the
// parts' cosines:
//   luminance layout  .35   16×16 means of Y, the picture squashed to a square, minus their mean
//   colour layout     .20   8×8 means of B−Y and R−Y
//   gradients         .30   4×4 cells × 8 directions, gradient magnitude at 32×32 shared between directions
//   by cos² colours           .10   square roots of the shares of 4×4×4 RGB cells shape             .05   the
//   logarithm of width/height as an angle
// The first three carry one small constant component: two flat pictures then agree instead of being
// undefined. Threads: pure functions.
#pragma once

#include <array>
#include <cstddef>

#include "data/image.h"

namespace paddock::curate {

inline constexpr std::size_t kDescriptorDim = (256 + 1) + (128 + 1) + (128 + 1) + 64 + 2;
using Descriptor = std::array<float, kDescriptorDim>;

// Names the descriptor's definition in caches and provenance; changes with it.
inline constexpr const char* kDescriptorName = "paddock-descriptor-1";

// `picture` has at least one pixel.
Descriptor describe(const data::Image& picture);

// Means of RGB in [0, 1] over a side×side grid of equal cells, fractional coverage counted; [side·side·3],
// rows first. Works for pictures smaller than the grid too. The picture's shape is not kept.
std::vector<float> cell_means(const data::Image& picture, int side);

}  // namespace paddock::curate
