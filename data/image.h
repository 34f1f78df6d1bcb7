// data/image.h – a decoded picture: 8-bit RGB, rows from the top, no padding, three bytes a pixel; and beside it a fourth
// channel, where one was asked for.
// Threads: a plain value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace paddock::data {

struct ImageSize {
  int width = 0;
  int height = 0;
  bool operator==(const ImageSize&) const = default;
};

struct Image {
  int width = 0;
  int height = 0;
  std::vector<std::uint8_t> rgb;    // height · width · 3
  std::vector<std::uint8_t> alpha;  // height · width: the fourth channel, opacity; empty: there is none

  Image() = default;
  Image(int columns, int rows)
      : width(columns),
        height(rows),
        rgb(static_cast<std::size_t>(columns) * static_cast<std::size_t>(rows) * 3) {}

  const std::uint8_t* row(int y) const {
    return rgb.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(width) * 3;
  }
  std::uint8_t* row(int y) {
    return rgb.data() + static_cast<std::size_t>(y) * static_cast<std::size_t>(width) * 3;
  }
  bool operator==(const Image&) const = default;
};

}  // namespace paddock::data
