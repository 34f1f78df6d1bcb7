// data/resize.h – crop, then resize with antialiasing, to the bit as Pillow 13's crop and resize: separable,
// coefficients in 22-bit fixed point, rounded and clamped to 8 bit between the passes; rows first, but
// columns first where the height shrinks by more than twice what the width does. Training and evaluation use
// nothing else. A fourth channel is resized by itself, where Pillow would weigh the colours with it. Threads: pure
// functions.
#pragma once

#include "data/image.h"

namespace paddock::data {

struct Box {
  int left = 0;
  int top = 0;
  int width = 0;
  int height = 0;
};

enum class Filter {
  kBilinear,  // a triangle of support 1
  kBicubic,   // Keys' cubic with a = −0.5, support 2
};

// The box of `image` (inside it, at least one pixel; REQUIREd) as width × height pixels. Pixels outside the
// box have no influence. Equal sizes: a plain crop.
Image resize(const Image& image, const Box& box, int width, int height, Filter filter = Filter::kBicubic);

// The whole picture.
Image resize(const Image& image, int width, int height, Filter filter = Filter::kBicubic);

}  // namespace paddock::data
