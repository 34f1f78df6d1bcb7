#include "jobs/curate/descriptor.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "base/check.h"

namespace paddock::curate {
namespace {

constexpr int kSide = 32;  // the grid from which every part is computed

constexpr float kLuminanceWeight = .35f;
constexpr float kColorLayoutWeight = .20f;
constexpr float kGradientWeight = .30f;
constexpr float kColorsWeight = .10f;
constexpr float kShapeWeight = .05f;

// The constant components, in the units of their part: contrast (root of the summed squares) far below them
// is noise.
constexpr float kLuminanceFloor = .16f;  // 1 % of the range over 256 cells
constexpr float kColorFloor = .2f;
constexpr float kGradientFloor = .5f;

// One cell's span along an axis: the pixels it touches and how much of each it covers.
struct Span {
  int first = 0;
  std::vector<float> shares;  // sum to 1
};

std::vector<Span> spans(int pixels, int cells) {
  std::vector<Span> spans(static_cast<std::size_t>(cells));
  for (int c = 0; c < cells; ++c) {
    const double low = static_cast<double>(c) * pixels / cells;
    const double high = static_cast<double>(c + 1) * pixels / cells;
    Span& span = spans[static_cast<std::size_t>(c)];
    span.first = std::min(static_cast<int>(low), pixels - 1);
    for (int p = span.first; p < pixels && p < high; ++p) {
      const double covered = std::min<double>(p + 1, high) - std::max<double>(p, low);
      span.shares.push_back(static_cast<float>(covered / (high - low)));
    }
  }
  return spans;
}

float luminance(const float* rgb) {
  return .299f * rgb[0] + .587f * rgb[1] + .114f * rgb[2];
}

// Scales `part` to length sqrt(weight).
void normalise(std::span<float> part, float weight) {
  double squares = 0;
  for (const float value : part) squares += static_cast<double>(value) * value;
  const auto scale = static_cast<float>(std::sqrt(weight / std::max(squares, 1e-20)));
  for (float& value : part) value *= scale;
}

void luminance_layout(const std::vector<float>& y, std::span<float> part) {
  double mean = 0;
  for (int row = 0; row < 16; ++row)
    for (int column = 0; column < 16; ++column) {
      const float* at = y.data() + 2 * row * kSide + 2 * column;
      const float cell = (at[0] + at[1] + at[kSide] + at[kSide + 1]) / 4;
      part[static_cast<std::size_t>(row * 16 + column)] = cell;
      mean += cell / 256;
    }
  for (std::size_t cell = 0; cell < 256; ++cell) part[cell] -= static_cast<float>(mean);
  part[256] = kLuminanceFloor;
  normalise(part, kLuminanceWeight);
}

void color_layout(const std::vector<float>& rgb, const std::vector<float>& y, std::span<float> part) {
  std::fill(part.begin(), part.end(), 0.f);
  for (int row = 0; row < kSide; ++row)
    for (int column = 0; column < kSide; ++column) {
      const auto pixel = static_cast<std::size_t>(row * kSide + column);
      const auto cell = static_cast<std::size_t>(row / 4 * 8 + column / 4);
      part[2 * cell] += (rgb[3 * pixel + 2] - y[pixel]) / 16;
      part[2 * cell + 1] += (rgb[3 * pixel] - y[pixel]) / 16;
    }
  part[128] = kColorFloor;
  normalise(part, kColorLayoutWeight);
}

void gradients(const std::vector<float>& y, std::span<float> part) {
  constexpr float kDiagonal = .70710678f;
  constexpr std::array<std::array<float, 2>, 8> kDirections = {{{1, 0},
                                                                {kDiagonal, kDiagonal},
                                                                {0, 1},
                                                                {-kDiagonal, kDiagonal},
                                                                {-1, 0},
                                                                {-kDiagonal, -kDiagonal},
                                                                {0, -1},
                                                                {kDiagonal, -kDiagonal}}};
  std::fill(part.begin(), part.end(), 0.f);
  for (int row = 0; row < kSide; ++row)
    for (int column = 0; column < kSide; ++column) {
      const auto at = [&](int r, int c) {
        return y[static_cast<std::size_t>(std::clamp(r, 0, kSide - 1) * kSide + std::clamp(c, 0, kSide - 1))];
      };
      const float right = at(row, column + 1) - at(row, column - 1);
      const float down = at(row + 1, column) - at(row - 1, column);
      const float magnitude = std::sqrt(right * right + down * down);
      if (magnitude < 1e-6f) continue;
      const auto cell = static_cast<std::size_t>(row / 8 * 4 + column / 8);
      for (std::size_t d = 0; d < 8; ++d) {
        const float along = right * kDirections[d][0] + down * kDirections[d][1];
        if (along > 0) part[cell * 8 + d] += along * along / magnitude;
      }
    }
  part[128] = kGradientFloor;
  normalise(part, kGradientWeight);
}

void colors(const std::vector<float>& rgb, std::span<float> part) {
  std::fill(part.begin(), part.end(), 0.f);
  for (std::size_t pixel = 0; pixel < rgb.size() / 3; ++pixel) {
    const auto level = [&](std::size_t channel) {
      return static_cast<std::size_t>(std::clamp(static_cast<int>(rgb[3 * pixel + channel] * 4), 0, 3));
    };
    part[level(0) * 16 + level(1) * 4 + level(2)] += 1;
  }
  for (float& share : part) share = std::sqrt(share);
  normalise(part, kColorsWeight);
}

}  // namespace

std::vector<float> cell_means(const data::Image& picture, int side) {
  PADDOCK_REQUIRE(picture.width > 0 && picture.height > 0 && side > 0, picture.width, picture.height, side);
  const std::vector<Span> across = spans(picture.width, side);
  const std::vector<Span> down = spans(picture.height, side);
  const auto line = static_cast<std::size_t>(side) * 3;
  std::vector<float> narrow(static_cast<std::size_t>(picture.height) * line, 0.f);
  for (int row = 0; row < picture.height; ++row) {
    const std::uint8_t* pixels =
        picture.rgb.data() + static_cast<std::size_t>(row) * static_cast<std::size_t>(picture.width) * 3;
    float* out = narrow.data() + static_cast<std::size_t>(row) * line;
    for (const Span& span : across) {
      for (std::size_t p = 0; p < span.shares.size(); ++p)
        for (std::size_t c = 0; c < 3; ++c)
          out[c] += span.shares[p] *
                    static_cast<float>(pixels[(static_cast<std::size_t>(span.first) + p) * 3 + c]) / 255.f;
      out += 3;
    }
  }
  std::vector<float> means(static_cast<std::size_t>(side) * line, 0.f);
  for (std::size_t cell = 0; cell < down.size(); ++cell)
    for (std::size_t p = 0; p < down[cell].shares.size(); ++p) {
      const float* from = narrow.data() + (static_cast<std::size_t>(down[cell].first) + p) * line;
      for (std::size_t i = 0; i < line; ++i) means[cell * line + i] += down[cell].shares[p] * from[i];
    }
  return means;
}

Descriptor describe(const data::Image& picture) {
  const std::vector<float> rgb = cell_means(picture, kSide);
  std::vector<float> y(rgb.size() / 3);
  for (std::size_t pixel = 0; pixel < y.size(); ++pixel) y[pixel] = luminance(rgb.data() + 3 * pixel);
  Descriptor descriptor;
  const std::span<float> all(descriptor);
  luminance_layout(y, all.subspan(0, 257));
  color_layout(rgb, y, all.subspan(257, 129));
  gradients(y, all.subspan(386, 129));
  colors(rgb, all.subspan(515, 64));
  // A quarter turn from 1:4 to 4:1; beyond that all are as long.
  const double angle =
      std::clamp(std::log2(static_cast<double>(picture.width) / picture.height), -2., 2.) * .3926990817;
  const std::span<float> shape = all.subspan(579, 2);
  shape[0] = static_cast<float>(std::cos(angle));
  shape[1] = static_cast<float>(std::sin(angle));
  normalise(shape, kShapeWeight);
  return descriptor;
}

}  // namespace paddock::curate
