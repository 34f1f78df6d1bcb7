// data/codec.h – the two formats behind decode.h, each with its library kept in one file. Only decode.cpp
// includes this. Threads: pure functions. Errors as in decode.h.
#pragma once

#include "data/decode.h"

namespace paddock::data {

Result<ImageSize> probe_png(std::span<const std::byte> file);
// With `keeps_alpha` the colours as stored and their opacity, empty where the file has none.
Result<Image> decode_png(std::span<const std::byte> file, const DecodeLimits& limits, bool keeps_alpha);
Result<ImageSize> probe_jpeg(std::span<const std::byte> file);
Result<Image> decode_jpeg(std::span<const std::byte> file, const DecodeLimits& limits);

// The refusal of a picture of that size, if it is one.
Result<void> check_size(ImageSize size, const DecodeLimits& limits);

}  // namespace paddock::data
