#include "data/hue.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

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

struct Tables {
  // [which channel is highest and whether the next one round the circle is the lowest][high − low][high − middle]
  std::array<std::array<std::array<std::uint8_t, 256>, 256>, 6> hue{};
  std::array<std::array<std::uint8_t, 256>, 256> saturation{};  // [high][low]
  std::array<double, 256> least{};                              // of a saturation: 1 − share
  std::array<float, 256> share{};
  struct Turn {
    float within = 0;
    double short_of = 0;  // 1 − within
    bool is_rising = false;
    Places places{};
  };
  std::array<Turn, 256> turns{};  // of a hue

  Tables() {
    for (std::size_t highest = 0; highest < 3; ++highest) {
      for (const std::size_t next_is_low : {0u, 1u}) {
        const std::size_t low = (highest + (next_is_low ? 1 : 2)) % 3, middle = 3 - highest - low;
        for (int range = 1; range < 256; ++range) {
          for (int below = 0; below <= range; ++below) {
            std::uint8_t pixel[3] = {};
            pixel[highest] = static_cast<std::uint8_t>(range);
            pixel[middle] = static_cast<std::uint8_t>(range - below);
            hue[2 * highest + next_is_low][static_cast<std::size_t>(range)][static_cast<std::size_t>(below)] =
                to_hsv(pixel).hue;
          }
        }
      }
    }
    for (int high = 0; high < 256; ++high) {
      for (int low = 0; low <= high; ++low) {
        const std::uint8_t pixel[3] = {static_cast<std::uint8_t>(high), static_cast<std::uint8_t>(low),
                                       static_cast<std::uint8_t>(low)};
        saturation[static_cast<std::size_t>(high)][static_cast<std::size_t>(low)] = to_hsv(pixel).saturation;
      }
    }
    for (int i = 0; i < 256; ++i) {
      const auto at = static_cast<std::size_t>(i);
      share[at] = static_cast<float>(i / 255.0);
      least[at] = 1.0 - share[at];
      const double place = i * 6.0 / 255.0;
      const int sector = static_cast<int>(place);
      const auto within = static_cast<float>(place - sector);
      turns[at] = {within, 1.0 - within, sector % 2 == 0, kPlaces[static_cast<std::size_t>(sector % 6)]};
    }
  }
};

const Tables& tables() {
  static const auto made = std::make_unique<const Tables>();
  return *made;
}

}  // namespace

void turn_hue(Image& image, std::uint8_t steps) {
  const Tables& table = tables();
  std::uint8_t* pixel = image.rgb.data();
  for (const std::uint8_t* end = pixel + image.rgb.size(); pixel != end; pixel += 3) {
    const int red = pixel[0], green = pixel[1], blue = pixel[2];
    const int high = std::max(std::max(red, green), blue), low = std::min(std::min(red, green), blue);
    const auto highest = static_cast<std::size_t>(red == high ? 0 : green == high ? 1 : 2);
    const int next = highest == 0 ? green : highest == 1 ? blue : red;
    const auto order = 2 * highest + (next == low ? 1u : 0u);
    const auto range = static_cast<std::size_t>(high - low);
    // high + middle + low is all there is, so high − middle needs no search.
    const auto below = static_cast<std::size_t>(2 * high + low - red - green - blue);
    const std::size_t saturation =
        table.saturation[static_cast<std::size_t>(high)][static_cast<std::size_t>(low)];
    const auto hue = static_cast<std::uint8_t>(table.hue[order][range][below] + steps);
    const Tables::Turn& turn = table.turns[hue];
    const float share = table.share[saturation];
    const double falling = 1.0 - share * turn.within, rising = 1.0 - share * turn.short_of;
    // No part is below 0: cutting off the fraction is rounding down.
    pixel[turn.places.value] = static_cast<std::uint8_t>(high);
    pixel[turn.places.least] = static_cast<std::uint8_t>(high * table.least[saturation] + 0.5);
    pixel[turn.places.between] = static_cast<std::uint8_t>(high * (turn.is_rising ? rising : falling) + 0.5);
  }
}

void turn_hue_reference(Image& image, std::uint8_t steps) {
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    Hsv color = to_hsv(&image.rgb[i]);
    color.hue = static_cast<std::uint8_t>(color.hue + steps);
    to_rgb(color, &image.rgb[i]);
  }
}

}  // namespace paddock::data
