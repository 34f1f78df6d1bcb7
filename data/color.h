// data/color.h – the colour and shape operators of the augmentations, each usable alone, in place, on 8-bit
// RGB. They follow torchvision's functional operators on a PIL image (the reference pipeline): same integer
// roundings, so a view differs from the reference by at most a step of 255 where libm does. Golden values:
// tests/golden/augment.json. Threads: pure functions.
#pragma once

#include <cstdint>

#include "data/image.h"

namespace paddock::data {

// factor ≥ 0: 0 is black, 1 changes nothing.
void adjust_brightness(Image& image, double factor);
// factor ≥ 0: 0 is the mean of the picture's luma, 1 changes nothing.
void adjust_contrast(Image& image, double factor);
// factor ≥ 0: 0 is grey, 1 changes nothing.
void adjust_saturation(Image& image, double factor);
// shift in [−0.5, 0.5] of the colour circle, in 8-bit HSV.
void adjust_hue(Image& image, double shift);
// ITU-R 601 luma in all three channels.
void to_grayscale(Image& image);
// 9 × 9 Gaussian, borders reflected without repeating the edge. sigma > 0, in pixels.
void gaussian_blur(Image& image, double sigma);
// Inverts every value ≥ threshold.
void solarize(Image& image, std::uint8_t threshold = 128);
// Left and right change places, of a fourth channel too, which all else here leaves as it is.
void flip_horizontal(Image& image);

}  // namespace paddock::data
