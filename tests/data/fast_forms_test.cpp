// The fast forms of the pixel loops against the slow ones that say what they mean, bit for bit.
#include <gtest/gtest.h>

#include "base/random.h"
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

TEST(TurnHue, AgreesOnOddValuesToo) {
  Image fast(512, 512);
  Draws draws(1, 0, Purpose::kSplit);
  for (std::uint8_t& value : fast.rgb) value = static_cast<std::uint8_t>(draws.below(256));
  Image slow = fast;
  turn_hue(fast, 19);
  turn_hue_reference(slow, 19);
  EXPECT_TRUE(fast == slow);
}

TEST(FilterRow, TheVectorFormGivesTheBitsOfThePlainOne) {
  Draws draws(2, 0, Purpose::kSplit);
  for (int trial = 0; trial < 200; ++trial) {
    const int in = 1 + static_cast<int>(draws.below(90)), out = 1 + static_cast<int>(draws.below(60));
    std::vector<std::uint8_t> row(3 * static_cast<std::size_t>(in) + kRowSpareBytes);
    for (std::uint8_t& value : row) value = static_cast<std::uint8_t>(draws.below(256));
    Taps taps;
    taps.stride = 14;
    taps.weights.resize(static_cast<std::size_t>(out * taps.stride));
    for (int x = 0; x < out; ++x) {
      const int count = 1 + static_cast<int>(draws.below(static_cast<std::uint64_t>(std::min(in, 13))));
      const int first = static_cast<int>(draws.below(static_cast<std::uint64_t>(in - count + 1)));
      taps.ranges.push_back({first, count});
      // Shares of both signs, as a cubic has, whose sum overshoots at most by half.
      for (int t = 0; t < count; ++t)
        taps.weights[static_cast<std::size_t>(x * taps.stride + t)] =
            static_cast<std::int32_t>(draws.uniform(-.3, 1.2) * (1 << kFractionBits) / count);
    }
    std::vector<std::uint8_t> fast(3 * static_cast<std::size_t>(out)), slow = fast;
    filter_row(row.data(), taps, fast.data());
    filter_row_reference(row.data(), taps, slow.data());
    EXPECT_EQ(fast, slow) << in << " to " << out;
  }
}

}  // namespace
}  // namespace paddock::data
