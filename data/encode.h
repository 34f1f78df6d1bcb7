// data/encode.h – a picture to a PNG file: deterministic for one version of libpng and zlib. Threads: a pure
// function.
#pragma once

#include <cstddef>
#include <vector>

#include "data/image.h"

namespace paddock::data {

// 8-bit RGB, or RGBA where the image has a fourth channel, not interlaced, no metadata. The image has at least one pixel.
std::vector<std::byte> encode_png(const Image& image);

}  // namespace paddock::data
