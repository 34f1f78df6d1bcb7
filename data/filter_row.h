// data/filter_row.h – one row of a picture to one of another width: the innermost loop of resizing, in fixed point.
// Threads: pure functions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace paddock::data {

// 8 bits of pixel, 22 of coefficient, and 2 spare for the overshoot of the cubic: a sum fits 32 bits.
inline constexpr int kFractionBits = 22;
inline constexpr std::int32_t kHalf = 1 << (kFractionBits - 1);
inline constexpr std::size_t kRowSpareBytes = 8;  // that filter_row may read behind a row

inline std::uint8_t to_pixel(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

// For each output pixel along one axis, the input pixels it is made of and their shares.
struct Taps {
  struct Range {
    int first = 0;
    int count = 0;
  };
  std::vector<Range> ranges;
  std::vector<std::int32_t> weights;  // ranges.size() rows of `stride`, zeros after a range's end
  int stride = 0;                     // more than any count

  const std::int32_t* of(int output) const {
    return weights.data() + static_cast<std::size_t>(output) * static_cast<std::size_t>(stride);
  }
};

// RGB in, RGB out, taps.ranges.size() pixels. Behind the last pixel of `row` there are kRowSpareBytes readable bytes.
void filter_row(const std::uint8_t* row, const Taps& taps, std::uint8_t* to);
// The same for any processor.
void filter_row_reference(const std::uint8_t* row, const Taps& taps, std::uint8_t* to);

}  // namespace paddock::data
