#include "data/color.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace paddock::data {
namespace {

// ITU-R 601 luma in 16-bit fixed point, rounded, as Pillow's conversion to "L".
std::uint8_t luma(const std::uint8_t* pixel) {
  return static_cast<std::uint8_t>((pixel[0] * 19595u + pixel[1] * 38470u + pixel[2] * 7471u + 0x8000u) >>
                                   16);
}

// Pillow's blend of two values: truncated, clamped where the factor extrapolates.
std::uint8_t blend(int from, int to, float factor) {
  const float value = static_cast<float>(from) + factor * static_cast<float>(to - from);
  return static_cast<std::uint8_t>(std::clamp(value, 0.0f, 255.0f));
}

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

void to_rgb(Hsv color, std::uint8_t* pixel) {
  const auto [hue, saturation, value] = color;
  if (saturation == 0) {
    pixel[0] = pixel[1] = pixel[2] = value;
    return;
  }
  const auto share = static_cast<float>(saturation / 255.0);
  const double place = hue * 6.0 / 255.0;
  const int sector = static_cast<int>(place);
  const auto within = static_cast<float>(place - sector);
  const auto rounded = [v = value](double part) {
    return static_cast<std::uint8_t>(std::clamp(static_cast<int>(std::floor(v * part + 0.5)), 0, 255));
  };
  const std::uint8_t p = rounded(1.0 - share);
  const std::uint8_t q = rounded(1.0 - share * within);
  const std::uint8_t t = rounded(1.0 - share * (1.0 - within));
  const auto set = [pixel](std::uint8_t red, std::uint8_t green, std::uint8_t blue) {
    pixel[0] = red;
    pixel[1] = green;
    pixel[2] = blue;
  };
  switch (sector % 6) {
    case 0:
      return set(value, t, p);
    case 1:
      return set(q, value, p);
    case 2:
      return set(p, value, t);
    case 3:
      return set(p, q, value);
    case 4:
      return set(t, p, value);
    default:
      return set(value, p, q);
  }
}

// The index that a position outside [0, n) mirrors, the edge itself not repeated.
int reflected(int i, int n) {
  if (n == 1) return 0;
  while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
  return i;
}

constexpr int kBlurTaps = 9;
constexpr int kBlurReach = kBlurTaps / 2;

void gaussian(double sigma, float (&kernel)[kBlurTaps]) {
  float sum = 0;
  for (int i = 0; i < kBlurTaps; ++i) {
    const float x = static_cast<float>(i - kBlurReach) / static_cast<float>(sigma);
    kernel[i] = std::exp(-0.5f * x * x);
    sum += kernel[i];
  }
  for (float& value : kernel) value /= sum;
}

}  // namespace

void adjust_brightness(Image& image, double factor) {
  for (std::uint8_t& value : image.rgb) value = blend(0, value, static_cast<float>(factor));
}

void adjust_contrast(Image& image, double factor) {
  std::uint64_t sum = 0;
  const std::size_t pixels = image.rgb.size() / 3;
  if (pixels == 0) return;
  for (std::size_t i = 0; i < pixels; ++i) sum += luma(&image.rgb[3 * i]);
  const int mean = static_cast<int>(static_cast<double>(sum) / static_cast<double>(pixels) + 0.5);
  for (std::uint8_t& value : image.rgb) value = blend(mean, value, static_cast<float>(factor));
}

void adjust_saturation(Image& image, double factor) {
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    const int grey = luma(&image.rgb[i]);
    for (std::size_t c = 0; c < 3; ++c)
      image.rgb[i + c] = blend(grey, image.rgb[i + c], static_cast<float>(factor));
  }
}

void adjust_hue(Image& image, double shift) {
  PADDOCK_REQUIRE(shift >= -0.5 && shift <= 0.5, shift);
  const auto steps =
      static_cast<std::uint8_t>(static_cast<int>(shift * 255));  // wraps like the circle it stands for
  for (std::size_t i = 0; i < image.rgb.size(); i += 3) {
    Hsv color = to_hsv(&image.rgb[i]);
    color.hue = static_cast<std::uint8_t>(color.hue + steps);
    to_rgb(color, &image.rgb[i]);
  }
}

void to_grayscale(Image& image) {
  for (std::size_t i = 0; i < image.rgb.size(); i += 3)
    image.rgb[i] = image.rgb[i + 1] = image.rgb[i + 2] = luma(&image.rgb[i]);
}

// Separable, in float: rows first, then nine finished rows to one row of the picture.
void gaussian_blur(Image& image, double sigma) {
  PADDOCK_REQUIRE(sigma > 0, sigma);
  float kernel[kBlurTaps];
  gaussian(sigma, kernel);
  const std::size_t row_values = static_cast<std::size_t>(image.width) * 3;
  std::vector<float> padded(row_values + 3 * 2 * kBlurReach);
  std::vector<float> blurred(row_values * static_cast<std::size_t>(image.height));
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* row = image.row(y);
    for (int x = -kBlurReach; x < image.width + kBlurReach; ++x)
      for (int c = 0; c < 3; ++c)
        padded[static_cast<std::size_t>(3 * (x + kBlurReach) + c)] = row[3 * reflected(x, image.width) + c];
    float* out = blurred.data() + static_cast<std::size_t>(y) * row_values;
    for (int t = 0; t < kBlurTaps; ++t) {
      const float* from = padded.data() + 3 * t;
      for (std::size_t i = 0; i < row_values; ++i) out[i] += kernel[t] * from[i];
    }
  }
  std::vector<float> sums(row_values);
  for (int y = 0; y < image.height; ++y) {
    std::fill(sums.begin(), sums.end(), 0.5f);  // truncation below then rounds
    for (int t = 0; t < kBlurTaps; ++t) {
      const float* from =
          blurred.data() + static_cast<std::size_t>(reflected(y + t - kBlurReach, image.height)) * row_values;
      for (std::size_t i = 0; i < row_values; ++i) sums[i] += kernel[t] * from[i];
    }
    std::uint8_t* row = image.row(y);
    for (std::size_t i = 0; i < row_values; ++i)
      row[i] = static_cast<std::uint8_t>(std::min(static_cast<int>(sums[i]), 255));
  }
}

void solarize(Image& image, std::uint8_t threshold) {
  for (std::uint8_t& value : image.rgb)
    if (value >= threshold) value = static_cast<std::uint8_t>(255 - value);
}

void flip_horizontal(Image& image) {
  for (int y = 0; y < image.height; ++y) {
    std::uint8_t* row = image.row(y);
    for (int left = 0, right = image.width - 1; left < right; ++left, --right)
      for (int c = 0; c < 3; ++c) std::swap(row[3 * left + c], row[3 * right + c]);
  }
}

}  // namespace paddock::data
