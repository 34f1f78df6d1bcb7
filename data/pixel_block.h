// data/pixel_block.h – pixels taken apart into channels, 64 at a time, and the vectors that loops over them are
// written in. Loops with a choice in them are written in vectors since the compiler leaves them scalar; those
// without are plain. Functions under PADDOCK_VECTOR_CLONES call all of it and have it inlined; only the last
// two call them. Threads: plain values.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace paddock::data {

inline constexpr std::size_t kBlockPixels = 64;
inline constexpr std::size_t kVectorBytes = 32;
inline constexpr std::size_t kLanes = kVectorBytes / sizeof(float);

// Vectors of the compiler, on any processor; they may lie over arrays of their elements.
using Floats = float __attribute__((vector_size(kVectorBytes), may_alias));
using UnalignedFloats = float __attribute__((vector_size(kVectorBytes), may_alias, aligned(alignof(float))));
using Ints = std::int32_t __attribute__((vector_size(kVectorBytes), may_alias));
using Bytes = std::uint8_t __attribute__((vector_size(kVectorBytes), may_alias));

// A number for each pixel of a block.
struct BlockBytes {
  alignas(kVectorBytes) std::uint8_t of[kBlockPixels];
  Bytes& vector(std::size_t i) { return *reinterpret_cast<Bytes*>(of + i); }
};
struct BlockInts {
  alignas(kVectorBytes) std::int32_t of[kBlockPixels];
  const Ints& vector(std::size_t i) const { return *reinterpret_cast<const Ints*>(of + i); }
  Ints& vector(std::size_t i) { return *reinterpret_cast<Ints*>(of + i); }
};

inline void widen(const std::uint8_t* from, BlockInts& to) {
  for (std::size_t i = 0; i < kBlockPixels; ++i) to.of[i] = from[i];
}

// Of values in 0 … 255.
inline void narrow(const BlockInts& from, std::uint8_t* to) {
  for (std::size_t i = 0; i < kBlockPixels; ++i) to[i] = static_cast<std::uint8_t>(from.of[i]);
}

struct PixelBlock {
  BlockBytes red, green, blue;
};

inline void take_apart(const std::uint8_t* rgb, PixelBlock& block) {
  for (std::size_t i = 0; i < kBlockPixels; ++i) {
    block.red.of[i] = rgb[3 * i];
    block.green.of[i] = rgb[3 * i + 1];
    block.blue.of[i] = rgb[3 * i + 2];
  }
}

inline void put_together(const PixelBlock& block, std::uint8_t* rgb) {
  for (std::size_t i = 0; i < kBlockPixels; ++i) {
    rgb[3 * i] = block.red.of[i];
    rgb[3 * i + 1] = block.green.of[i];
    rgb[3 * i + 2] = block.blue.of[i];
  }
}

// Calls change(rgb) for each kBlockPixels of `pixels`, then for the rest in a block of its own, filled up with
// black.
template <typename Change>
void change_blocks(std::uint8_t* rgb, std::size_t pixels, const Change& change) {
  const std::size_t whole = pixels / kBlockPixels * kBlockPixels;
  for (std::size_t i = 0; i < whole; i += kBlockPixels) change(rgb + 3 * i);
  if (whole == pixels) return;
  std::uint8_t rest[3 * kBlockPixels] = {};
  std::copy(rgb + 3 * whole, rgb + 3 * pixels, rest);
  change(rest);
  std::copy_n(rest, 3 * (pixels - whole), rgb + 3 * whole);
}

// The same, to read them only.
template <typename Read>
void read_blocks(const std::uint8_t* rgb, std::size_t pixels, const Read& read) {
  const std::size_t whole = pixels / kBlockPixels * kBlockPixels;
  for (std::size_t i = 0; i < whole; i += kBlockPixels) read(rgb + 3 * i);
  if (whole == pixels) return;
  std::uint8_t rest[3 * kBlockPixels] = {};
  std::copy(rgb + 3 * whole, rgb + 3 * pixels, rest);
  read(rest);
}

}  // namespace paddock::data
