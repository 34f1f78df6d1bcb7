#include "data/normalization.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

#include "base/check.h"
#include "data/color.h"

namespace paddock::data {
namespace {

// 256 values are all there are: a table gives the exact quotients at the cost of a look-up.
using Table = std::array<float, 256>;

Table table_of(double mean, double std) {
  Table table{};
  for (std::size_t v = 0; v < table.size(); ++v)
    table[v] = (static_cast<float>(v) / 255.0f - static_cast<float>(mean)) / static_cast<float>(std);
  return table;
}

// The first channels of `image`, as many as there are means.
void normalize_channels(const Image& image, const Normalization& normalization, float* out_CHW) {
  const std::size_t pixels = image.rgb.size() / 3;
  std::array<Table, 4> tables;
  for (std::size_t c = 0; c < normalization.mean.size(); ++c)
    tables[c] = table_of(normalization.mean[c], normalization.std[c]);
  const std::uint8_t* pixel = image.rgb.data();
  if (normalization.channels() == 1) {
    for (std::size_t i = 0; i < pixels; ++i) out_CHW[i] = tables[0][pixel[3 * i]];
    return;
  }
  float* const red = out_CHW;
  float* const green = red + pixels;
  float* const blue = green + pixels;
  for (std::size_t i = 0; i < pixels; ++i, pixel += 3) {
    red[i] = tables[0][pixel[0]];
    green[i] = tables[1][pixel[1]];
    blue[i] = tables[2][pixel[2]];
  }
  if (normalization.channels() == 3) return;
  float* const alpha = blue + pixels;
  for (std::size_t i = 0; i < pixels; ++i) alpha[i] = tables[3][image.alpha.empty() ? 255 : image.alpha[i]];
}

}  // namespace

std::optional<std::string> problem_of(const Normalization& normalization) {
  const auto& [mean, std] = normalization;
  if (mean.size() != std.size())
    return "there are " + std::to_string(mean.size()) + " means and " + std::to_string(std.size()) +
           " deviations, must be one of each a channel";
  if (!is_channel_count(normalization.channels()))
    return "there are " + std::to_string(mean.size()) +
           " channels, must be 1 (luma), 3 (RGB) or 4 (RGB and opacity)";
  const auto is_number = [](double value) { return std::isfinite(value); };
  if (!std::ranges::all_of(mean, is_number) ||
      !std::ranges::all_of(std, [](double value) { return std::isfinite(value) && value > 0; }))
    return "means must be numbers and deviations numbers above 0";
  return std::nullopt;
}

Normalization usual_normalization(int channels) {
  PADDOCK_REQUIRE(is_channel_count(channels), channels);
  Normalization usual;
  if (channels == 1) return {{.449}, {.226}};
  if (channels == 4) {
    usual.mean.push_back(.5);
    usual.std.push_back(.5);
  }
  return usual;
}

void normalize(const Image& image, const Normalization& normalization, float* out_CHW) {
  PADDOCK_REQUIRE(!problem_of(normalization), *problem_of(normalization));
  if (normalization.channels() == 1) {
    Image grey = image;
    to_grayscale(grey);
    normalize_channels(grey, normalization, out_CHW);
  } else {
    normalize_channels(image, normalization, out_CHW);
  }
}

}  // namespace paddock::data
