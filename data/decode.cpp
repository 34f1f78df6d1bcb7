#include "data/decode.h"

#include <algorithm>
#include <array>
#include <string>

#include "base/check.h"
#include "data/codec.h"
#include "data/color.h"
#include "data/normalization.h"

namespace paddock::data {
namespace {

enum class Format { kPng, kJpeg, kUnknown };

Format format_of(std::span<const std::byte> file) {
  constexpr std::array<unsigned char, 8> kPngMagic{0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  constexpr std::array<unsigned char, 3> kJpegMagic{0xFF, 0xD8, 0xFF};
  const auto begins_with = [&](std::span<const unsigned char> magic) {
    return file.size() >= magic.size() &&
           std::equal(magic.begin(), magic.end(), file.begin(),
                      [](unsigned char want, std::byte have) { return std::byte{want} == have; });
  };
  if (begins_with(kPngMagic)) return Format::kPng;
  if (begins_with(kJpegMagic)) return Format::kJpeg;
  return Format::kUnknown;
}

tl::unexpected<Error> unknown_format() {
  return fail(Code::kInvalid, "neither a PNG nor a JPEG file by its first bytes; convert it to one of them");
}

}  // namespace

Result<void> check_size(ImageSize size, const DecodeLimits& limits) {
  const auto pixels = static_cast<std::uint64_t>(size.width) * static_cast<std::uint64_t>(size.height);
  if (pixels > limits.pixels_max)
    return fail(Code::kInvalid, "the header says " + std::to_string(size.width) + "x" +
                                    std::to_string(size.height) + " pixels, more than the " +
                                    std::to_string(limits.pixels_max) +
                                    " allowed; scale the picture down or raise pixels_max");
  return {};
}

Result<ImageSize> probe_image(std::span<const std::byte> file) {
  switch (format_of(file)) {
    case Format::kPng:
      return probe_png(file);
    case Format::kJpeg:
      return probe_jpeg(file);
    case Format::kUnknown:
      break;
  }
  return unknown_format();
}

Result<Image> decode_image(std::span<const std::byte> file, const DecodeLimits& limits, int channels) {
  PADDOCK_REQUIRE(is_channel_count(channels), channels);
  const Format format = format_of(file);
  if (format == Format::kUnknown) return unknown_format();
  Result<Image> image =
      format == Format::kPng ? decode_png(file, limits, channels == 4) : decode_jpeg(file, limits);
  if (!image) return image;
  if (channels == 1) to_grayscale(*image);
  if (channels == 4 && image->alpha.empty()) image->alpha.assign(image->rgb.size() / 3, 255);
  return image;
}

}  // namespace paddock::data
