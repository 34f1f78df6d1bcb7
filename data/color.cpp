#include "data/color.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "base/check.h"
#include "data/hue.h"
#include "data/pixel_block.h"
#include "data/vector_clones.h"

namespace paddock::data {
namespace {

// ITU-R 601 luma in 16-bit fixed point, rounded, as Pillow's conversion to "L".
void luma(const PixelBlock& pixels, BlockBytes& grey) {
  for (std::size_t i = 0; i < kBlockPixels; ++i)
    grey.of[i] = static_cast<std::uint8_t>(
        (pixels.red.of[i] * 19595u + pixels.green.of[i] * 38470u + pixels.blue.of[i] * 7471u + 0x8000u) >>
        16);
}

// Pillow's blend of a block of values: truncated, clamped where the factor extrapolates.
void blend(const BlockInts& from, float factor, std::uint8_t* values) {
  BlockInts to;
  widen(values, to);
  // So much is past the clamp wherever there is a way at all, and still fits an integer.
  const float bounded = std::min(factor, 65536.0f);
  for (std::size_t i = 0; i < kBlockPixels; i += kLanes) {
    const Floats way = __builtin_convertvector(to.vector(i) - from.vector(i), Floats);
    const Floats value = __builtin_convertvector(from.vector(i), Floats) + bounded * way;
    const Ints whole = __builtin_convertvector(value, Ints);
    const Ints positive = whole < 0 ? Ints{} : whole;
    to.vector(i) = positive > 255 ? Ints{} + 255 : positive;
  }
  narrow(to, values);
}

// The values of 64 pixels blended with one. `rgb`: kBlockPixels pixels, as below.
PADDOCK_VECTOR_CLONES
void blend_with(std::int32_t from, float factor, std::uint8_t* rgb) {
  BlockInts start;
  for (std::int32_t& value : start.of) value = from;
  for (std::size_t i = 0; i < 3 * kBlockPixels; i += kBlockPixels) blend(start, factor, rgb + i);
}

PADDOCK_VECTOR_CLONES
void saturate(float factor, std::uint8_t* rgb) {
  PixelBlock pixels;
  BlockBytes grey;
  BlockInts start;
  take_apart(rgb, pixels);
  luma(pixels, grey);
  widen(grey.of, start);
  blend(start, factor, pixels.red.of);
  blend(start, factor, pixels.green.of);
  blend(start, factor, pixels.blue.of);
  put_together(pixels, rgb);
}

PADDOCK_VECTOR_CLONES
std::uint32_t sum_of_luma(const std::uint8_t* rgb) {
  PixelBlock pixels;
  BlockBytes grey;
  take_apart(rgb, pixels);
  luma(pixels, grey);
  std::uint32_t sum = 0;
  for (const std::uint8_t value : grey.of) sum += value;
  return sum;
}

PADDOCK_VECTOR_CLONES
void turn_grey(std::uint8_t* rgb) {
  PixelBlock pixels;
  BlockBytes grey;
  take_apart(rgb, pixels);
  luma(pixels, grey);
  put_together({grey, grey, grey}, rgb);
}

void blend_all(Image& image, int from, double factor) {
  change_blocks(image.rgb.data(), image.rgb.size() / 3,
                [&](std::uint8_t* rgb) { blend_with(from, static_cast<float>(factor), rgb); });
}

// The index that a position outside [0, n) mirrors, the edge itself not repeated.
int reflected(int i, int n) {
  if (n == 1) return 0;
  while (i < 0 || i >= n) i = i < 0 ? -i : 2 * (n - 1) - i;
  return i;
}

constexpr int kBlurTaps = 9;
constexpr int kBlurReach = kBlurTaps / 2;
constexpr std::size_t kBlurBlock = 4 * kLanes;  // sums that stay in registers

void gaussian(double sigma, float (&kernel)[kBlurTaps]) {
  float sum = 0;
  for (int i = 0; i < kBlurTaps; ++i) {
    const float x = static_cast<float>(i - kBlurReach) / static_cast<float>(sigma);
    kernel[i] = std::exp(-0.5f * x * x);
    sum += kernel[i];
  }
  for (float& value : kernel) value /= sum;
}

PADDOCK_VECTOR_CLONES
void to_floats(float* out, const std::uint8_t* from, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) out[i] = from[i];
}

// sums[i] = start + Σ_t kernel[t] · rows[t][i], the taps added in their order. `count` is a multiple of
// kBlurBlock.
PADDOCK_VECTOR_CLONES
void weigh_rows(const float* const (&rows)[kBlurTaps], const float (&kernel)[kBlurTaps], float start,
                float* sums, std::size_t count) {
  for (std::size_t i = 0; i < count; i += kBlurBlock) {
    Floats block[kBlurBlock / kLanes];
    for (Floats& sum : block) sum = Floats{} + start;
    for (int t = 0; t < kBlurTaps; ++t)
      for (std::size_t v = 0; v < kBlurBlock / kLanes; ++v)
        block[v] += kernel[t] * *reinterpret_cast<const UnalignedFloats*>(rows[t] + i + v * kLanes);
    for (std::size_t v = 0; v < kBlurBlock / kLanes; ++v)
      *reinterpret_cast<UnalignedFloats*>(sums + i + v * kLanes) = block[v];
  }
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
  read_blocks(image.rgb.data(), pixels, [&](const std::uint8_t* rgb) { sum += sum_of_luma(rgb); });
  const int mean = static_cast<int>(static_cast<double>(sum) / static_cast<double>(pixels) + 0.5);
  blend_all(image, mean, factor);
}

void adjust_saturation(Image& image, double factor) {
  change_blocks(image.rgb.data(), image.rgb.size() / 3,
                [&](std::uint8_t* rgb) { saturate(static_cast<float>(factor), rgb); });
}

void adjust_hue(Image& image, double shift) {
  PADDOCK_REQUIRE(shift >= -0.5 && shift <= 0.5, shift);
  turn_hue(image,
           static_cast<std::uint8_t>(static_cast<int>(shift * 255)));  // wraps like the circle it stands for
}

void to_grayscale(Image& image) {
  change_blocks(image.rgb.data(), image.rgb.size() / 3, turn_grey);
}

// Separable, in float: rows first, then nine finished rows to one row of the picture. Rows end in values that
// only fill the last block.
void gaussian_blur(Image& image, double sigma) {
  PADDOCK_REQUIRE(sigma > 0, sigma);
  float kernel[kBlurTaps];
  gaussian(sigma, kernel);
  const std::size_t row_values = static_cast<std::size_t>(image.width) * 3;
  const std::size_t stride = (row_values + kBlurBlock - 1) / kBlurBlock * kBlurBlock;
  const float* rows[kBlurTaps];
  std::vector<float> padded(stride + 3 * 2 * kBlurReach);
  const auto blurred =
      std::make_unique_for_overwrite<float[]>(stride * static_cast<std::size_t>(image.height));
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* row = image.row(y);
    to_floats(padded.data() + 3 * kBlurReach, row, row_values);
    for (int i = 1; i <= kBlurReach; ++i) {
      for (int c = 0; c < 3; ++c) {
        padded[static_cast<std::size_t>(3 * (kBlurReach - i) + c)] = row[3 * reflected(-i, image.width) + c];
        padded[static_cast<std::size_t>(3 * (kBlurReach + image.width - 1 + i) + c)] =
            row[3 * reflected(image.width - 1 + i, image.width) + c];
      }
    }
    for (int t = 0; t < kBlurTaps; ++t) rows[t] = padded.data() + 3 * t;
    weigh_rows(rows, kernel, 0.0f, blurred.get() + static_cast<std::size_t>(y) * stride, stride);
  }
  std::vector<float> sums(stride);
  for (int y = 0; y < image.height; ++y) {
    for (int t = 0; t < kBlurTaps; ++t)
      rows[t] =
          blurred.get() + static_cast<std::size_t>(reflected(y + t - kBlurReach, image.height)) * stride;
    weigh_rows(rows, kernel, 0.5f, sums.data(), stride);  // truncation below then rounds
    truncate_to_bytes(image.row(y), sums.data(), row_values);
  }
}

void solarize(Image& image, std::uint8_t threshold) {
  for (std::uint8_t& value : image.rgb)
    if (value >= threshold) value = static_cast<std::uint8_t>(255 - value);
}

void flip_horizontal(Image& image) {
  if (image.rgb.empty()) return;
  const std::size_t row_bytes = static_cast<std::size_t>(image.width) * 3;
  std::vector<std::uint8_t> from(row_bytes + 1);
  for (int y = 0; y < image.height; ++y) {
    std::uint8_t* row = image.row(y);
    std::copy_n(row, row_bytes, from.data());
    // Four bytes at once are one move; the fourth is written over by the next pixel.
    for (std::size_t at = 0; at + 3 < row_bytes; at += 3) std::memcpy(row + at, &from[row_bytes - 3 - at], 4);
    std::copy_n(from.data(), 3, row + row_bytes - 3);
  }
  for (std::size_t first = 0; first < image.alpha.size(); first += static_cast<std::size_t>(image.width))
    std::reverse(image.alpha.begin() + static_cast<std::ptrdiff_t>(first),
                 image.alpha.begin() + static_cast<std::ptrdiff_t>(first) + image.width);
}

}  // namespace paddock::data
