#include "data/color.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/check.h"
#include "data/hue.h"
#include "data/vector_clones.h"

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

// Every value blended with one: 256 results are all there are.
void blend_all(Image& image, int from, double factor) {
  std::array<std::uint8_t, 256> table{};
  for (int value = 0; value < 256; ++value)
    table[static_cast<std::size_t>(value)] = blend(from, value, static_cast<float>(factor));
  for (std::uint8_t& value : image.rgb) value = table[value];
}

// The index that a position outside [0, n) mirrors, the edge itself not repeated.
int reflected(int i, int n) {
  if (n == 1) return 0;
  while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
  return i;
}

PADDOCK_VECTOR_CLONES
void saturate(std::uint8_t* rgb, std::size_t pixels, float factor) {
  for (std::size_t i = 0; i < 3 * pixels; i += 3) {
    const int grey = luma(rgb + i);
    for (std::size_t c = 0; c < 3; ++c) rgb[i + c] = blend(grey, rgb[i + c], factor);
  }
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

// out += factor · from
PADDOCK_VECTOR_CLONES
void add_scaled(float* out, const float* from, float factor, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out[i] += factor * from[i];
}

PADDOCK_VECTOR_CLONES
void widen(float* out, const std::uint8_t* from, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out[i] = from[i];
}

// Not negative: the kernel is not.
PADDOCK_VECTOR_CLONES
void truncate_to_bytes(std::uint8_t* out, const float* from, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i)
    out[i] = static_cast<std::uint8_t>(std::min(static_cast<int>(from[i]), 255));
}

}  // namespace

void adjust_brightness(Image& image, double factor) {
  blend_all(image, 0, factor);
}

void adjust_contrast(Image& image, double factor) {
  std::uint64_t sum = 0;
  const std::size_t pixels = image.rgb.size() / 3;
  if (pixels == 0) return;
  for (std::size_t i = 0; i < pixels; ++i) sum += luma(&image.rgb[3 * i]);
  const int mean = static_cast<int>(static_cast<double>(sum) / static_cast<double>(pixels) + 0.5);
  blend_all(image, mean, factor);
}

void adjust_saturation(Image& image, double factor) {
  saturate(image.rgb.data(), image.rgb.size() / 3, static_cast<float>(factor));
}

void adjust_hue(Image& image, double shift) {
  PADDOCK_REQUIRE(shift >= -0.5 && shift <= 0.5, shift);
  turn_hue(image,
           static_cast<std::uint8_t>(static_cast<int>(shift * 255)));  // wraps like the circle it stands for
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
    widen(padded.data() + 3 * kBlurReach, row, row_values);
    for (int i = 1; i <= kBlurReach; ++i) {
      for (int c = 0; c < 3; ++c) {
        padded[static_cast<std::size_t>(3 * (kBlurReach - i) + c)] = row[3 * reflected(-i, image.width) + c];
        padded[static_cast<std::size_t>(3 * (kBlurReach + image.width - 1 + i) + c)] =
            row[3 * reflected(image.width - 1 + i, image.width) + c];
      }
    }
    float* out = blurred.data() + static_cast<std::size_t>(y) * row_values;
    for (int t = 0; t < kBlurTaps; ++t) add_scaled(out, padded.data() + 3 * t, kernel[t], row_values);
  }
  std::vector<float> sums(row_values);
  for (int y = 0; y < image.height; ++y) {
    std::fill(sums.begin(), sums.end(), 0.5f);  // truncation below then rounds
    for (int t = 0; t < kBlurTaps; ++t) {
      const float* from =
          blurred.data() + static_cast<std::size_t>(reflected(y + t - kBlurReach, image.height)) * row_values;
      add_scaled(sums.data(), from, kernel[t], row_values);
    }
    truncate_to_bytes(image.row(y), sums.data(), row_values);
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
