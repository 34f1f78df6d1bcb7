// data/hue.h – turning the hue of a picture, as Pillow's 8-bit "HSV" and back does it. Source: colorsys, as
// Pillow's Convert.c computes it. Threads: pure functions.
#pragma once

#include <cstdint>

#include "data/image.h"

namespace paddock::data {

// `steps`: of 256 around the circle, wrapping.
void turn_hue(Image& image, std::uint8_t steps);

// The same spelled out, pixel by pixel: slow, and what the vectors are compared with.
void turn_hue_reference(Image& image, std::uint8_t steps);

}  // namespace paddock::data
