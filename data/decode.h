// data/decode.h – PNG and JPEG files, told apart by their first bytes, to RGB.
// What a picture claims to be is read from its header and refused there, before any memory is taken for it.
// Transparent pixels are laid on white; grey, palette and 16-bit become 8-bit RGB; of an animation or a
// picture with its own colour profile the stored pixels are taken as they are. Threads: pure functions.
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
Result<Image> decode_image(std::span<const std::byte> file, const DecodeLimits& limits = {});

}  // namespace paddock::data
