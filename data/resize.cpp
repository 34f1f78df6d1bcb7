#include "data/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "base/check.h"
#include "data/filter_row.h"

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

// For each output pixel along one axis, the input pixels it is made of and their shares.
struct Taps {
  struct Range {
    std::size_t first = 0;
    std::size_t count = 0;
  };
  std::vector<Range> ranges;
  std::vector<std::int32_t> weights;  // ranges.size() rows of `stride`
  std::size_t stride = 0;             // at least any count

  std::span<const std::int32_t> of(std::size_t output) const {
    return {weights.data() + output * stride, ranges[output].count};
  }
};

Taps taps_between(int in, int out, Filter filter) {
  const double scale = static_cast<double>(in) / out;
  const double filter_scale = std::max(scale, 1.0);  // shrinking widens the filter: that is the antialiasing
  const double support = (filter == Filter::kBicubic ? 2.0 : 1.0) * filter_scale;
  Taps taps;
  taps.stride = static_cast<std::size_t>(std::ceil(support)) * 2 + 1;
  taps.ranges.resize(static_cast<std::size_t>(out));
  taps.weights.resize(static_cast<std::size_t>(out) * taps.stride);
  std::vector<double> shares(taps.stride);
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
    taps.ranges[static_cast<std::size_t>(i)] = {static_cast<std::size_t>(first),
                                                static_cast<std::size_t>(end - first)};
    std::int32_t* weights = taps.weights.data() + static_cast<std::size_t>(i) * taps.stride;
    for (int t = 0; t < end - first; ++t) {
      const double share = shares[static_cast<std::size_t>(t)];
      weights[t] = to_fixed(sum != 0.0 ? share / sum : share);
    }
  }
  return taps;
}

// A rectangle of pixels in memory.
struct Pixels {
  const std::uint8_t* first = nullptr;
  std::size_t stride = 0;  // bytes from row to row
  std::size_t row_bytes = 0;
  std::size_t height = 0;
};

Pixels pixels_of(const Image& image, const Box& box) {
  return {image.row(box.top) + static_cast<std::size_t>(box.left) * 3,
          static_cast<std::size_t>(image.width) * 3, static_cast<std::size_t>(box.width) * 3,
          static_cast<std::size_t>(box.height)};
}

// Rows without gaps, as everything below writes them.
Pixels pixels_at(const std::uint8_t* first, std::size_t width, std::size_t height) {
  return {first, 3 * width, 3 * width, height};
}

void crop(const Pixels& in, std::uint8_t* to) {
  for (std::size_t y = 0; y < in.height; ++y)
    std::memcpy(to + y * in.row_bytes, in.first + y * in.stride, in.row_bytes);
}

// Writes in.height rows of a pixel for each of the taps' ranges. Tiles of rows are turned, so that one pixel of
// each row makes one row of the tile; the last tile of a picture repeats its last row.
void resize_rows(const Pixels& in, const Taps& taps, std::uint8_t* to) {
  constexpr std::size_t kPixelBytes = 3 * kTileRows;
  const std::size_t row_bytes = 3 * taps.ranges.size();
  const auto wide = std::make_unique_for_overwrite<std::uint8_t[]>(in.row_bytes * kTileRows);
  const auto narrow = std::make_unique_for_overwrite<std::uint8_t[]>(row_bytes * kTileRows);
  for (std::size_t first = 0; first < in.height; first += kTileRows) {
    std::array<const std::uint8_t*, kTileRows> from_rows{};
    std::array<std::uint8_t*, kTileRows> to_rows{};
    for (std::size_t i = 0; i < kTileRows; ++i) {
      const std::size_t y = std::min(first + i, in.height - 1);
      from_rows[i] = in.first + y * in.stride;
      to_rows[i] = to + y * row_bytes;
    }
    rows_to_tile(from_rows, in.row_bytes, wide.get());
    for (std::size_t x = 0; x < taps.ranges.size(); ++x)
      filter_row(wide.get() + taps.ranges[x].first * kPixelBytes, kPixelBytes, taps.of(x),
                 narrow.get() + x * kPixelBytes, kPixelBytes);
    tile_to_rows(narrow.get(), row_bytes, to_rows);
  }
}

// Writes a row of in.row_bytes for each of the taps' ranges.
void resize_columns(const Pixels& in, const Taps& taps, std::uint8_t* to) {
  for (std::size_t y = 0; y < taps.ranges.size(); ++y)
    filter_row(in.first + taps.ranges[y].first * in.stride, in.stride, taps.of(y), to + y * in.row_bytes,
               in.row_bytes);
}

void resize_both(const Pixels& in, const Taps& along_rows, const Taps& along_columns, bool columns_first,
                 std::uint8_t* to) {
  const std::size_t width = columns_first ? in.row_bytes / 3 : along_rows.ranges.size();
  const std::size_t height = columns_first ? along_columns.ranges.size() : in.height;
  const auto between = std::make_unique_for_overwrite<std::uint8_t[]>(3 * width * height);
  if (columns_first) {
    resize_columns(in, along_columns, between.get());
    resize_rows(pixels_at(between.get(), width, height), along_rows, to);
  } else {
    resize_rows(in, along_rows, between.get());
    resize_columns(pixels_at(between.get(), width, height), along_columns, to);
  }
}

Box whole(const Image& image) {
  return {0, 0, image.width, image.height};
}

// Pillow's rule, found by trying Pillow 13: rows and columns change places where the height shrinks much
// more.
bool columns_go_first(const Box& box, int width, int height) {
  return box.height - height > 2 * std::max(box.width - width, 0);
}

Image resize_colors(const Image& image, const Box& box, int width, int height, Filter filter) {
  Image out(width, height);
  const Pixels in = pixels_of(image, box);
  if (box.width == width && box.height == height)
    crop(in, out.rgb.data());
  else if (box.height == height)
    resize_rows(in, taps_between(box.width, width, filter), out.rgb.data());
  else if (box.width == width)
    resize_columns(in, taps_between(box.height, height, filter), out.rgb.data());
  else
    resize_both(in, taps_between(box.width, width, filter), taps_between(box.height, height, filter),
                columns_go_first(box, width, height), out.rgb.data());
  return out;
}

// As a grey picture of its own; rare enough for the three channels that takes.
std::vector<std::uint8_t> resize_alpha(const Image& image, const Box& box, int width, int height,
                                       Filter filter) {
  Image grey(image.width, image.height);
  for (std::size_t i = 0; i < grey.rgb.size(); ++i) grey.rgb[i] = image.alpha[i / 3];
  const Image resized = resize_colors(grey, box, width, height, filter);
  std::vector<std::uint8_t> alpha(resized.rgb.size() / 3);
  for (std::size_t i = 0; i < alpha.size(); ++i) alpha[i] = resized.rgb[3 * i];
  return alpha;
}

}  // namespace

Image resize(const Image& image, const Box& box, int width, int height, Filter filter) {
  PADDOCK_REQUIRE(width > 0 && height > 0, width, height);
  PADDOCK_REQUIRE(box.left >= 0 && box.top >= 0 && box.width > 0 && box.height > 0 &&
                      box.width <= image.width - box.left && box.height <= image.height - box.top,
                  box.left, box.top, box.width, box.height, image.width, image.height);
  Image resized = resize_colors(image, box, width, height, filter);
  if (!image.alpha.empty()) resized.alpha = resize_alpha(image, box, width, height, filter);
  return resized;
}

Image resize(const Image& image, int width, int height, Filter filter) {
  return resize(image, whole(image), width, height, filter);
}

}  // namespace paddock::data
