// model/kernels/fused_update.h – AdamW, the teacher's moving average and the bfloat16 copies of both in one pass over
// memory: 28 bytes read and 20 written an element instead of some 60 in separate passes.
// Plain pointers, no LibTorch: the CUDA form is compiled by nvcc into a shared library of its own (kernel_library.h), the
// CPU form below says what the result is. Each element is computed alone and without fused multiply-adds on the CPU, so its
// bits depend neither on threads nor on where an array is cut; the CUDA form agrees to 1e-6 relative.
#pragma once

#include <cstdint>

namespace paddock::model {

// What AdamW's formula needs, with all that does not depend on the element worked out in float64 beforehand.
struct FusedUpdateValues {
  float step_size = 0;  // learning rate / (1 − β1^t)
  float keep = 1;       // 1 − learning rate · weight decay
  float beta2 = .999f;
  float one_minus_beta1 = .1f;
  float one_minus_beta2 = .001f;
  float second_root = 1;  // √(1 − β2^t)
  float epsilon = 1e-8f;
  float momentum = 1;  // of the average
  float one_minus_momentum = 0;
  float gradient_scale = 1;  // from clipping and averaging
};

struct UpdateNumbers {
  double lr = 0;
  double weight_decay = 0;
  double beta1 = .9;
  double beta2 = .999;
  double epsilon = 1e-8;
  double momentum = 1;
  std::int64_t update = 1;  // number of this update, from 1
  double gradient_scale = 1;
};
FusedUpdateValues fused_update_values(const UpdateNumbers& numbers);

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

void fused_update_cpu(const FusedUpdateArrays& arrays, const FusedUpdateValues& values);

// What the library exports: pointers to device memory, a cudaStream_t; the cudaError_t of the launch, 0 for none.
using FusedUpdateFunction = int (*)(const FusedUpdateArrays*, const FusedUpdateValues*, void* stream);
inline constexpr const char* kFusedUpdateSymbol =
    "paddock_fused_update_2";  // 2: the layout of the structs above

}  // namespace paddock::model
