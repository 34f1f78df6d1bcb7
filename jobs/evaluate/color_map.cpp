#include "jobs/evaluate/color_map.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/check.h"

namespace paddock::evaluate {
namespace {

// viridis at nine equal steps (matplotlib, CC0); linear in between.
constexpr std::array<std::array<float, 3>, 9> kViridis = {{{68, 1, 84},
                                                           {71, 44, 122},
                                                           {59, 81, 139},
                                                           {44, 113, 142},
                                                           {33, 144, 141},
                                                           {39, 173, 129},
                                                           {92, 200, 99},
                                                           {170, 220, 50},
                                                           {253, 231, 37}}};

}  // namespace

data::Image heat_map(std::span<const float> values, int columns) {
  PADDOCK_REQUIRE(columns > 0 && !values.empty() && values.size() % static_cast<std::size_t>(columns) == 0,
                  values.size(), columns);
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  data::Image out;
  out.width = columns;
  out.height = static_cast<int>(values.size()) / columns;
  for (const float value : values) {
    const float place = *high > *low && std::isfinite(value) ? (value - *low) / (*high - *low) * 8 : 0;
    const auto step = static_cast<std::size_t>(std::clamp(place, 0.f, 7.f));
    for (std::size_t c = 0; c < 3; ++c) {
      const float color = kViridis[step][c] +
                          (place - static_cast<float>(step)) * (kViridis[step + 1][c] - kViridis[step][c]);
      out.rgb.push_back(static_cast<std::uint8_t>(std::clamp(color + .5f, 0.f, 255.f)));
    }
  }
  return out;
}

data::Image beside(const std::vector<data::Image>& pictures, int gap) {
  PADDOCK_REQUIRE(!pictures.empty() && gap >= 0, pictures.size(), gap);
  data::Image out;
  out.height = pictures.front().height;
  out.width = -gap;
  for (const data::Image& picture : pictures) {
    PADDOCK_REQUIRE(picture.height == out.height, picture.height, out.height);
    out.width += picture.width + gap;
  }
  for (int row = 0; row < out.height; ++row)
    for (std::size_t i = 0; i < pictures.size(); ++i) {
      if (i > 0) out.rgb.insert(out.rgb.end(), static_cast<std::size_t>(gap) * 3, 255);
      const auto first = pictures[i].rgb.begin() + static_cast<std::ptrdiff_t>(row) * pictures[i].width * 3;
      out.rgb.insert(out.rgb.end(), first, first + static_cast<std::ptrdiff_t>(pictures[i].width) * 3);
    }
  return out;
}

data::Image below(const std::vector<data::Image>& pictures, int gap) {
  PADDOCK_REQUIRE(!pictures.empty() && gap >= 0, pictures.size(), gap);
  data::Image out;
  out.width = pictures.front().width;
  const std::size_t gap_bytes = static_cast<std::size_t>(gap) * static_cast<std::size_t>(out.width) * 3;
  for (const data::Image& picture : pictures) {
    PADDOCK_REQUIRE(picture.width == out.width, picture.width, out.width);
    if (out.height > 0) {
      out.rgb.insert(out.rgb.end(), gap_bytes, 255);
      out.height += gap;
    }
    out.rgb.insert(out.rgb.end(), picture.rgb.begin(), picture.rgb.end());
    out.height += picture.height;
  }
  return out;
}

data::Image enlarged(const data::Image& picture, int factor) {
  return stretched(picture, picture.width * factor, picture.height * factor);
}

data::Image stretched(const data::Image& picture, int width, int height) {
  PADDOCK_REQUIRE(width > 0 && height > 0, width, height);
  const auto scaled = [](int at, int from, int to) {
    return static_cast<int>(static_cast<std::int64_t>(at) * from / to);
  };
  data::Image out(width, height);
  for (int row = 0; row < height; ++row) {
    const std::uint8_t* from = picture.row(scaled(row, picture.height, height));
    for (int column = 0; column < width; ++column)
      std::copy_n(from + 3 * scaled(column, picture.width, width), 3, out.row(row) + 3 * column);
  }
  return out;
}

}  // namespace paddock::evaluate
