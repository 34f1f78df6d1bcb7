// tests/jobs/drawn_pictures.h – pictures drawn from a number: coloured ellipses and bars on white, and a pool
// made of them.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/random.h"
#include "data/encode.h"
#include "data/image.h"
#include "data/resize.h"

namespace paddock {

// Two numbers give pictures that look nothing alike; `shift` moves everything by that many pixels.
inline data::Image drawn_picture(std::uint64_t number, int width, int height, int shift = 0) {
  data::Image picture(width, height);
  std::fill(picture.rgb.begin(), picture.rgb.end(), std::uint8_t{255});
  Draws draws(99, number, Purpose::kInit);
  const std::uint64_t shapes = 3 + draws.below(5);
  for (std::uint64_t s = 0; s < shapes; ++s) {
    const double x = draws.uniform(0, 1), y = draws.uniform(0, 1), a = draws.uniform(.08, .4),
                 b = draws.uniform(.08, .4);
    const bool is_bar = draws.below(2) == 1;
    std::uint8_t color[3];
    for (std::uint8_t& channel : color) channel = static_cast<std::uint8_t>(draws.below(256));
    for (int row = 0; row < height; ++row)
      for (int column = 0; column < width; ++column) {
        const double u = (static_cast<double>(column - shift) / width - x) / a;
        const double v = (static_cast<double>(row) / height - y) / b;
        const bool is_inside = is_bar ? std::abs(u) < 1 && std::abs(v) < 1 : u * u + v * v < 1;
        if (is_inside) std::copy_n(color, 3, picture.row(row) + 3 * column);
      }
  }
  return picture;
}

inline void write_bytes(const std::filesystem::path& path, const std::vector<std::byte>& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

// A folder of its own below the test's temporary folder, removed with the object.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::string& name)
      : path_(std::filesystem::temp_directory_path() / (name + "-" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace paddock
