// model/kernels/bfloat16.h – the upper half of a float32, as kernels see it; laid out like LibTorch's BFloat16.
// Loops load it as float32 and round to nearest, ties to even, when they store (vector.inc). Threads: values.
#pragma once

#include <bit>
#include <cstdint>

namespace paddock::model {

struct Bfloat16 {
  std::uint16_t bits;
};

inline float to_float(float x) {
  return x;
}
inline float to_float(Bfloat16 x) {
  return std::bit_cast<float>(std::uint32_t{x.bits} << 16);
}

}  // namespace paddock::model
