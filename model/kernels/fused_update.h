// model/kernels/fused_update.h – AdamW, the teacher's moving average and the bfloat16 copies of both in one pass over
// memory: 28 bytes read and 20 written an element instead of some 60 in separate passes.
// Plain pointers, no LibTorch: the CUDA form is compiled by nvcc into a shared library of its own (kernel_library.h), the
// reference form below runs on the CPU and says what the result is. Float32 everywhere; a tolerance of 1e-6 relative covers
// the compilers' fused multiply-adds.
#pragma once

#include <cstdint>

namespace paddock::model {

struct FusedUpdateValues {
  float lr = 0;
  float weight_decay = 0;
  float beta1 = .9f;
  float beta2 = .999f;
  float epsilon = 1e-8f;
  float momentum = .996f;    // of the average
  std::int64_t update = 1;   // number of this update, from 1: for the moments' bias correction
  float gradient_scale = 1;  // from clipping
};

// Arrays of `count` elements that do not overlap. The bfloat16 copies may be null.
struct FusedUpdateArrays {
  float* value = nullptr;
  const float* gradient = nullptr;
  float* first = nullptr;  // moments
  float* second = nullptr;
  float* average = nullptr;
  std::uint16_t* value_bf16 = nullptr;
  std::uint16_t* average_bf16 = nullptr;
  std::int64_t count = 0;
};

void fused_update_reference(const FusedUpdateArrays& arrays, const FusedUpdateValues& values);

// What the library exports: pointers to device memory, a cudaStream_t; the cudaError_t of the launch, 0 for none.
using FusedUpdateFunction = int (*)(const FusedUpdateArrays*, const FusedUpdateValues*, void* stream);
inline constexpr const char* kFusedUpdateSymbol = "paddock_fused_update";

}  // namespace paddock::model
