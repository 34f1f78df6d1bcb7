// The fast forms of the pixel loops against the slow ones that say what they mean, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "data/color.h"
#include "data/filter_row.h"
#include "data/hue.h"

namespace paddock::data {
namespace {

Image every_color() {  // 2^21: every second value of each channel, both ends included
  Image image(2048, 1024);
  std::size_t i = 0;
  for (int red = 0; red < 128; ++red)
    for (int green = 0; green < 128; ++green)
      for (int blue = 0; blue < 128; ++blue)
        for (const int channel : {red, green, blue})
          image.rgb[i++] = static_cast<std::uint8_t>(channel == 127 ? 255 : 2 * channel);
  return image;
}

TEST(TurnHue, TablesGiveTheBitsOfTheArithmetic) {
  const Image colors = every_color();
  for (const int steps : {0, 1, 25, 128, 231, 255}) {
    Image fast = colors, slow = colors;
    turn_hue(fast, static_cast<std::uint8_t>(steps));
    turn_hue_reference(slow, static_cast<std::uint8_t>(steps));
    EXPECT_TRUE(fast == slow) << steps;
  }
}

TEST(TurnHue, AgreesOnEveryColor) {
  Image colors(256, 256);
  for (int red = 0; red < 256; ++red) {
    for (std::size_t i = 0; i < 65536; ++i) {
      colors.rgb[3 * i] = static_cast<std::uint8_t>(red);
      colors.rgb[3 * i + 1] = static_cast<std::uint8_t>(i / 256);
      colors.rgb[3 * i + 2] = static_cast<std::uint8_t>(i);
    }
    Image fast = colors, slow = colors;
    const auto steps = static_cast<std::uint8_t>(37 * red);  // and every step
    turn_hue(fast, steps);
    turn_hue_reference(slow, steps);
    ASSERT_TRUE(fast == slow) << red;
  }
}

TEST(FilterRow, TheVectorFormGivesTheBitsOfThePlainOne) {
  Draws draws(2, 0, Purpose::kSplit);
  for (int trial = 0; trial < 200; ++trial) {
    const std::size_t count = 1 + draws.below(200), taps = 1 + draws.below(13),
                      stride = count + draws.below(9);
    std::vector<std::uint8_t> rows(taps * stride);
    for (std::uint8_t& value : rows) value = static_cast<std::uint8_t>(draws.below(256));
    std::vector<std::int32_t> weights(taps);
    // Shares of both signs, as a cubic has, whose sum overshoots at most by half.
    for (std::int32_t& weight : weights)
      weight = static_cast<std::int32_t>(draws.uniform(-.3, 1.2) * (1 << kFractionBits) /
                                         static_cast<double>(taps));
    std::vector<std::uint8_t> fast(count), slow(count);
    filter_row(rows.data(), stride, weights, fast.data(), count);
    filter_row_reference(rows.data(), stride, weights, slow.data(), count);
    EXPECT_EQ(fast, slow) << count << " values, " << taps << " taps";
  }
}

TEST(Tiles, TurningPutsRowsBelowEachOtherAndTurningBackRestoresThem) {
  for (const std::size_t count : {1u, 15u, 16u, 17u, 100u}) {
    std::vector<std::uint8_t> values(kTileRows * count), tile(values.size()), back(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint8_t>(i * 7 + i / 256);
    std::array<const std::uint8_t*, kTileRows> from{};
    std::array<std::uint8_t*, kTileRows> to{};
    for (std::size_t y = 0; y < kTileRows; ++y) {
      from[y] = values.data() + y * count;
      to[y] = back.data() + y * count;
    }
    rows_to_tile(from, count, tile.data());
    for (std::size_t y = 0; y < kTileRows; ++y)
      for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(tile[i * kTileRows + y], from[y][i]) << y << ' ' << i;
    tile_to_rows(tile.data(), count, to);
    EXPECT_EQ(back, values) << count;
  }
}

// What each operator does to one pixel, spelled out: Pillow's luma, and its blend, truncated and clamped.
std::uint8_t luma(const std::uint8_t* pixel) {
  return static_cast<std::uint8_t>((pixel[0] * 19595u + pixel[1] * 38470u + pixel[2] * 7471u + 0x8000u) >>
                                   16);
}

std::uint8_t blend(int from, int to, float factor) {
  const float value = static_cast<float>(from) + factor * static_cast<float>(to - from);
  return static_cast<std::uint8_t>(std::clamp(value, 0.0f, 255.0f));
}

TEST(Operators, BlocksOfPixelsGiveTheBitsOfOnePixelAtATime) {
  Image colors = every_color();
  colors.height = 1023;  // and a size that is no multiple of a block
  colors.width = 2047;
  colors.rgb.resize(3u * 1023 * 2047);
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < colors.rgb.size(); i += 3) sum += luma(&colors.rgb[i]);
  const int mean = static_cast<int>(static_cast<double>(sum) / (1023.0 * 2047.0) + .5);
  Image grey = colors;
  to_grayscale(grey);
  for (const double factor : {0.0, 0.6, 0.97, 1.0, 1.37, 1e9}) {
    Image brighter = colors, contrasted = colors, saturated = colors;
    adjust_brightness(brighter, factor);
    adjust_contrast(contrasted, factor);
    adjust_saturation(saturated, factor);
    const auto with = static_cast<float>(factor);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < colors.rgb.size(); ++i) {
      const std::uint8_t value = colors.rgb[i], its_grey = luma(&colors.rgb[i / 3 * 3]);
      wrong += grey.rgb[i] != its_grey || brighter.rgb[i] != blend(0, value, with) ||
               contrasted.rgb[i] != blend(mean, value, with) ||
               saturated.rgb[i] != blend(its_grey, value, with);
    }
    EXPECT_EQ(wrong, 0u) << factor;
  }
}

}  // namespace
}  // namespace paddock::data
