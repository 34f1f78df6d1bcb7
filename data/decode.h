// data/decode.h – PNG and JPEG files, told apart by their first bytes, to grey, RGB or RGB and opacity.
// What a picture claims to be is read from its header and refused there, before any memory is taken for it.
// Grey, palette and 16-bit become 8-bit RGB; of an animation or a picture with its own colour profile the stored
// pixels are taken as they are. Transparent pixels are laid on white, unless their opacity is asked for.
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/limits.h"
#include "base/result.h"
#include "data/image.h"

namespace paddock::data {

struct DecodeLimits {
  std::uint64_t pixels_max = limits::kImagePixelsMax;  // width · height from the header
};

// Width and height from the header alone. Errors as decode_image, but that the pixels may yet prove damaged.
Result<ImageSize> probe_image(std::span<const std::byte> file);

// kInvalid: neither PNG nor JPEG, colours we do not read (CMYK), or more pixels than allowed.
// kCorrupt: the header is damaged, or the pixels end early: never a half picture.
// `channels` 1: the luma in all of R, G and B. 4: `alpha` too, 255 where the file has none, and the colours as they are
// stored, whatever their opacity: a file may hold anything in its fourth channel.
Result<Image> decode_image(std::span<const std::byte> file, const DecodeLimits& limits = {},
                           int channels = 3);

}  // namespace paddock::data
