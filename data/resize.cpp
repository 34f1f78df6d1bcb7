#include "data/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "data/filter_row.h"
#include "data/vector_clones.h"

namespace paddock::data {
namespace {

double bilinear(double x) {
  x = std::abs(x);
  return x < 1.0 ? 1.0 - x : 0.0;
}

double bicubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1;
  if (x < 2.0) return (((x - 5) * x + 8) * x - 4) * a;
  return 0.0;
}

std::int32_t to_fixed(double weight) {
  const double scaled = weight * (1 << kFractionBits);
  return static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
}

Taps taps_between(int in, int out, Filter filter) {
  const double scale = static_cast<double>(in) / out;
  const double filter_scale = std::max(scale, 1.0);  // shrinking widens the filter: that is the antialiasing
  const double support = (filter == Filter::kBicubic ? 2.0 : 1.0) * filter_scale;
  Taps taps;
  taps.stride = static_cast<int>(std::ceil(support)) * 2 + 2;  // one to spare: taps are taken in pairs
  taps.ranges.resize(static_cast<std::size_t>(out));
  taps.weights.resize(static_cast<std::size_t>(out) * static_cast<std::size_t>(taps.stride));
  std::vector<double> shares(static_cast<std::size_t>(taps.stride));
  for (int i = 0; i < out; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(center - support + 0.5));
    const int end = std::min(in, static_cast<int>(center + support + 0.5));
    double sum = 0;
    for (int t = 0; t < end - first; ++t) {
      const double x = (t + first - center + 0.5) * (1.0 / filter_scale);
      shares[static_cast<std::size_t>(t)] = filter == Filter::kBicubic ? bicubic(x) : bilinear(x);
      sum += shares[static_cast<std::size_t>(t)];
    }
    taps.ranges[static_cast<std::size_t>(i)] = {first, end - first};
    std::int32_t* weights =
        taps.weights.data() + static_cast<std::size_t>(i) * static_cast<std::size_t>(taps.stride);
    for (int t = 0; t < end - first; ++t) {
      const double share = shares[static_cast<std::size_t>(t)];
      weights[t] = to_fixed(sum != 0.0 ? share / sum : share);
    }
  }
  return taps;
}

// sums += weight · from
PADDOCK_VECTOR_CLONES
void add_weighted(std::int32_t* sums, const std::uint8_t* from, std::int32_t weight, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) sums[i] += from[i] * weight;
}

PADDOCK_VECTOR_CLONES
void to_pixels(std::uint8_t* to, const std::int32_t* sums, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) to[i] = to_pixel(sums[i]);
}

Image crop(const Image& image, const Box& box) {
  Image out(box.width, box.height);
  const std::size_t row_bytes = static_cast<std::size_t>(box.width) * 3;
  for (int y = 0; y < box.height; ++y)
    std::memcpy(out.row(y), image.row(box.top + y) + static_cast<std::size_t>(box.left) * 3, row_bytes);
  return out;
}

Image resize_rows(const Image& image, const Box& box, int width, Filter filter) {
  const Taps taps = taps_between(box.width, width, filter);
  Image out(width, box.height);
  const std::size_t row_bytes = static_cast<std::size_t>(box.width) * 3;
  for (int y = 0; y < box.height; ++y) {
    const std::uint8_t* row = image.row(box.top + y) + static_cast<std::size_t>(box.left) * 3;
    if (box.top + y + 1 < image.height && static_cast<std::size_t>(image.width) * 3 >= kRowSpareBytes) {
      filter_row(row, taps, out.row(y));  // the next row lies behind it
    } else {
      std::vector<std::uint8_t> with_spare(row, row + row_bytes);
      with_spare.resize(row_bytes + kRowSpareBytes);
      filter_row(with_spare.data(), taps, out.row(y));
    }
  }
  return out;
}

Image resize_columns(const Image& image, const Box& box, int height, Filter filter) {
  const Taps taps = taps_between(box.height, height, filter);
  Image out(box.width, height);
  // Row by row over all columns at once: the inner loops run along memory and vectorise.
  const std::size_t row_bytes = static_cast<std::size_t>(box.width) * 3;
  std::vector<std::int32_t> sums(row_bytes);
  for (int y = 0; y < height; ++y) {
    const Taps::Range range = taps.ranges[static_cast<std::size_t>(y)];
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int t = 0; t < range.count; ++t) {
      const std::uint8_t* from =
          image.row(box.top + range.first + t) + static_cast<std::size_t>(box.left) * 3;
      add_weighted(sums.data(), from, taps.of(y)[t], row_bytes);
    }
    to_pixels(out.row(y), sums.data(), row_bytes);
  }
  return out;
}

Box whole(const Image& image) {
  return {0, 0, image.width, image.height};
}

// Pillow's rule, found by trying Pillow 13: rows and columns change places where the height shrinks much
// more.
bool columns_go_first(const Box& box, int width, int height) {
  return box.height - height > 2 * std::max(box.width - width, 0);
}

}  // namespace

Image resize(const Image& image, const Box& box, int width, int height, Filter filter) {
  PADDOCK_REQUIRE(width > 0 && height > 0, width, height);
  PADDOCK_REQUIRE(box.left >= 0 && box.top >= 0 && box.width > 0 && box.height > 0 &&
                      box.width <= image.width - box.left && box.height <= image.height - box.top,
                  box.left, box.top, box.width, box.height, image.width, image.height);
  if (box.width == width && box.height == height) return crop(image, box);
  if (box.height == height) return resize_rows(image, box, width, filter);
  if (box.width == width) return resize_columns(image, box, height, filter);
  if (columns_go_first(box, width, height)) {
    const Image lowered = resize_columns(image, box, height, filter);
    return resize_rows(lowered, whole(lowered), width, filter);
  }
  const Image narrowed = resize_rows(image, box, width, filter);
  return resize_columns(narrowed, whole(narrowed), height, filter);
}

Image resize(const Image& image, int width, int height, Filter filter) {
  return resize(image, whole(image), width, height, filter);
}

}  // namespace paddock::data
