// data/filter_row.h – the innermost loops of resizing, in fixed point: rows of bytes weighed to one row, and
// tiles of rows turned so that what lay beside each other lies below each other. With both, either axis is
// resized by the same loop. Threads: pure functions.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace paddock::data {

// 8 bits of pixel, 22 of coefficient, and 2 spare for the overshoot of the cubic: a sum fits 32 bits.
inline constexpr int kFractionBits = 22;
inline constexpr std::int32_t kHalf = 1 << (kFractionBits - 1);

inline std::uint8_t to_pixel(std::int32_t sum) {
  return static_cast<std::uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
}

// to[i] = Σ_t weights[t] · rows[t · stride + i] for i in [0, count), rounded and cut to 0 … 255. `to` overlaps
// no row.
void filter_row(const std::uint8_t* rows, std::size_t stride, std::span<const std::int32_t> weights,
                std::uint8_t* to, std::size_t count);
// The same for any processor.
void filter_row_reference(const std::uint8_t* rows, std::size_t stride, std::span<const std::int32_t> weights,
                          std::uint8_t* to, std::size_t count);

inline constexpr std::size_t kTileRows = 16;

// tile[i · kTileRows + y] = rows[y][i] for i in [0, count).
void rows_to_tile(const std::array<const std::uint8_t*, kTileRows>& rows, std::size_t count,
                  std::uint8_t* tile);
// And back. Rows may be the same one if their values in the tile are.
void tile_to_rows(const std::uint8_t* tile, std::size_t count,
                  const std::array<std::uint8_t*, kTileRows>& rows);

}  // namespace paddock::data
