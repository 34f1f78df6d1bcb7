#include "data/hue.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "data/pixel_block.h"
#include "data/vector_clones.h"

namespace paddock::data {
namespace {

// One 8-bit hue, saturation and value, scaled and truncated as Pillow's "HSV".
struct Hsv {
  std::uint8_t hue = 0;
  std::uint8_t saturation = 0;
  std::uint8_t value = 0;
};

Hsv to_hsv(const std::uint8_t* pixel) {
  const int red = pixel[0], green = pixel[1], blue = pixel[2];
  const int high = std::max({red, green, blue});
  const int low = std::min({red, green, blue});
  if (high == low) return {0, 0, static_cast<std::uint8_t>(high)};
  const auto range = static_cast<float>(high - low);
  const float from_red = static_cast<float>(high - red) / range;
  const float from_green = static_cast<float>(high - green) / range;
  const float from_blue = static_cast<float>(high - blue) / range;
  float sector = 0;
  if (red == high)
    sector = from_blue - from_green;
  else if (green == high)
    sector = static_cast<float>(2.0 + from_red - from_blue);
  else
    sector = static_cast<float>(4.0 + from_green - from_red);
  double turn = sector / 6.0 + 1.0;  // in (5/6, 11/6): never negative before the wrap
  if (turn >= 1.0) turn -= 1.0;
  const auto hue = static_cast<float>(turn);
  const float saturation = range / static_cast<float>(high);
  return {static_cast<std::uint8_t>(std::clamp(static_cast<int>(hue * 255.0), 0, 255)),
          static_cast<std::uint8_t>(std::clamp(static_cast<int>(saturation * 255.0), 0, 255)),
          static_cast<std::uint8_t>(high)};
}

// Where the value, the least and the one between go in each sixth of the circle.
struct Places {
  std::uint8_t value, least, between;
};
constexpr std::array<Places, 6> kPlaces{{{0, 2, 1}, {1, 2, 0}, {1, 0, 2}, {2, 0, 1}, {2, 1, 0}, {0, 1, 2}}};

void to_rgb(Hsv color, std::uint8_t* pixel) {
  const auto share = static_cast<float>(color.saturation / 255.0);
  const double place = color.hue * 6.0 / 255.0;
  const int sector = static_cast<int>(place);
  const auto within = static_cast<float>(place - sector);
  const auto rounded = [&color](double part) {
    return static_cast<std::uint8_t>(
        std::clamp(static_cast<int>(std::floor(color.value * part + 0.5)), 0, 255));
  };
  const Places& places = kPlaces[static_cast<std::size_t>(sector % 6)];
  pixel[places.value] = color.value;
  pixel[places.least] = rounded(1.0 - share);
  // The part rises in even sixths and falls in odd ones.
  pixel[places.between] =
      sector % 2 == 0 ? rounded(1.0 - share * (1.0 - within)) : rounded(1.0 - share * within);
}

// A block of pixels by what their hue is made of.
struct HueBlock {
  BlockBytes high, range;
  BlockBytes below;        // highest − middle
  BlockBytes offset;       // sixths of the circle from red to the highest
  BlockBytes next_is_low;  // 1: the channel after the highest, round the circle, is the lowest
  BlockBytes sector, least, between;
};

PADDOCK_VECTOR_CLONES
void order_channels(const std::uint8_t* rgb, HueBlock& block) {
  PixelBlock pixels;
  take_apart(rgb, pixels);
  for (std::size_t i = 0; i < kBlockPixels; ++i) {
    const std::uint8_t red = pixels.red.of[i], green = pixels.green.of[i], blue = pixels.blue.of[i];
    const std::uint8_t high = std::max(std::max(red, green), blue),
                       low = std::min(std::min(red, green), blue);
    const auto middle = static_cast<std::uint8_t>(red + green + blue - high - low);
    const std::uint8_t next = red == high ? green : green == high ? blue : red;
    block.high.of[i] = high;
    block.range.of[i] = static_cast<std::uint8_t>(high - low);
    block.below.of[i] = static_cast<std::uint8_t>(high - middle);
    block.offset.of[i] = red == high ? std::uint8_t{0} : green == high ? std::uint8_t{2} : std::uint8_t{4};
    block.next_is_low.of[i] = next == low ? std::uint8_t{1} : std::uint8_t{0};
  }
}

// The reference's arithmetic in single precision. That its bytes are the same was found by trying all there are:
// each (offset, range, below), each (high, range) and each (high, saturation, hue). A test tries all colours.
PADDOCK_VECTOR_CLONES
void turn_block(HueBlock& block, std::int32_t steps) {
  BlockInts high, range, below, offset, next_is_low, sector, least, between;
  widen(block.high.of, high);
  widen(block.range.of, range);
  widen(block.below.of, below);
  widen(block.offset.of, offset);
  widen(block.next_is_low.of, next_is_low);
  constexpr float kUnit = 1.0f / 255.0f;
  for (std::size_t i = 0; i < kBlockPixels; i += kLanes) {
    const Ints ranges = range.vector(i), highs = high.vector(i);
    const Floats value = __builtin_convertvector(highs, Floats);
    const Floats offsets = __builtin_convertvector(offset.vector(i), Floats);
    // Of a grey pixel nothing is below the highest, so any divisor but 0 will do.
    const Floats share_below = __builtin_convertvector(below.vector(i), Floats) /
                               __builtin_convertvector(ranges == 0 ? ranges + 1 : ranges, Floats);
    const Floats after = offsets + 1.0f - share_below, before = offsets - 1.0f + share_below;
    const Floats signed_turn = (next_is_low.vector(i) != 0 ? before : after) / 6.0f;
    const Floats turn = signed_turn < 0.0f ? signed_turn + 1.0f : signed_turn;
    const Ints hue = ranges == 0 ? ranges : __builtin_convertvector(turn * 255.0f, Ints);
    const Floats range_share = __builtin_convertvector(ranges, Floats) /
                               __builtin_convertvector(highs == 0 ? highs + 1 : highs, Floats);
    const Ints saturation = __builtin_convertvector(range_share * 255.0f, Ints);

    const Ints place = ((hue + steps) & 255) * 6;
    const Ints sectors = (place * 32897) >> 23;  // place / 255
    const Floats within = __builtin_convertvector(place - sectors * 255, Floats) * kUnit;
    const Floats share = __builtin_convertvector(saturation, Floats) * kUnit;
    const Floats side = (sectors & 1) != 0 ? within : 1.0f - within;
    // No part is below 0: cutting off the fraction is rounding down.
    sector.vector(i) = sectors;
    least.vector(i) = __builtin_convertvector(value * (1.0f - share) + 0.5f, Ints);
    between.vector(i) = __builtin_convertvector(value * (1.0f - share * side) + 0.5f, Ints);
  }
  narrow(sector, block.sector.of);
  narrow(least, block.least.of);
  narrow(between, block.between.of);
}

// kPlaces, channel by channel. A hue of 255 is in sector 6, which is the first again.
PADDOCK_VECTOR_CLONES
void place_channels(HueBlock& block, std::uint8_t* rgb) {
  PixelBlock pixels;
  for (std::size_t i = 0; i < kBlockPixels; i += kVectorBytes) {
    const Bytes sector = block.sector.vector(i), value = block.high.vector(i);
    const Bytes least = block.least.vector(i), between = block.between.vector(i);
    pixels.red.vector(i) = ((sector == 1) | (sector == 4))   ? between
                           : ((sector == 2) | (sector == 3)) ? least
                                                             : value;
    pixels.green.vector(i) = ((sector == 1) | (sector == 2))   ? value
                             : ((sector == 4) | (sector == 5)) ? least
                                                               : between;
    pixels.blue.vector(i) = ((sector == 3) | (sector == 4))   ? value
                            : ((sector == 2) | (sector == 5)) ? between
                                                              : least;
  }
  put_together(pixels, rgb);
}

}  // namespace

void turn_hue(Image& image, std::uint8_t steps) {
  change_blocks(image.rgb.data(), image.rgb.size() / 3, [steps](std::uint8_t* rgb) {
    HueBlock block;
    order_channels(rgb, block);
    turn_block(block, steps);
    place_channels(block, rgb);
  });
}

void turn_hue_reference(Image& image, std::uint8_t steps) {
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    Hsv color = to_hsv(&image.rgb[i]);
    color.hue = static_cast<std::uint8_t>(color.hue + steps);
    to_rgb(color, &image.rgb[i]);
  }
}

}  // namespace paddock::data
