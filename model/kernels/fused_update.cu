// The CUDA form of fused_update.h. Bound by memory, so four elements a thread in vector loads and nothing cleverer.
#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include "model/kernels/fused_update.h"

namespace {

using paddock::model::FusedUpdateArrays;
using paddock::model::FusedUpdateValues;

__device__ void update_one(float& value, float gradient, float& first, float& second, float& average,
                           const FusedUpdateValues& v) {
  gradient *= v.gradient_scale;
  first += v.one_minus_beta1 * (gradient - first);
  second = v.beta2 * second + v.one_minus_beta2 * gradient * gradient;
  value = value * v.keep - v.step_size * first / (sqrtf(second) / v.second_root + v.epsilon);
  average = v.momentum * average + v.one_minus_momentum * value;
}

__device__ ushort4 to_bfloat16(const float4& x) {
  return {__bfloat16_as_ushort(__float2bfloat16_rn(x.x)), __bfloat16_as_ushort(__float2bfloat16_rn(x.y)),
          __bfloat16_as_ushort(__float2bfloat16_rn(x.z)), __bfloat16_as_ushort(__float2bfloat16_rn(x.w))};
}

// Elements [0, 4·quads), all arrays aligned to 16 bytes (the copies to 8).
__global__ void update_quads(FusedUpdateArrays a, FusedUpdateValues v, std::int64_t quads) {
  const auto stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (auto i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < quads; i += stride) {
    float4 value = reinterpret_cast<float4*>(a.value)[i];
    const float4 gradient = reinterpret_cast<const float4*>(a.gradient)[i];
    float4 first = reinterpret_cast<float4*>(a.first)[i];
    float4 second = reinterpret_cast<float4*>(a.second)[i];
    float4 average = reinterpret_cast<float4*>(a.average)[i];
    update_one(value.x, gradient.x, first.x, second.x, average.x, v);
    update_one(value.y, gradient.y, first.y, second.y, average.y, v);
    update_one(value.z, gradient.z, first.z, second.z, average.z, v);
    update_one(value.w, gradient.w, first.w, second.w, average.w, v);
    reinterpret_cast<float4*>(a.value)[i] = value;
    reinterpret_cast<float4*>(a.first)[i] = first;
    reinterpret_cast<float4*>(a.second)[i] = second;
    reinterpret_cast<float4*>(a.average)[i] = average;
    if (a.value_bf16 != nullptr) reinterpret_cast<ushort4*>(a.value_bf16)[i] = to_bfloat16(value);
    if (a.average_bf16 != nullptr) reinterpret_cast<ushort4*>(a.average_bf16)[i] = to_bfloat16(average);
  }
}

// Elements [begin, count): the rest of a division by four, or everything when the arrays are not aligned.
__global__ void update_singles(FusedUpdateArrays a, FusedUpdateValues v, std::int64_t begin) {
  const auto stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (auto i = begin + static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < a.count;
       i += stride) {
    update_one(a.value[i], a.gradient[i], a.first[i], a.second[i], a.average[i], v);
    if (a.value_bf16 != nullptr) a.value_bf16[i] = __bfloat16_as_ushort(__float2bfloat16_rn(a.value[i]));
    if (a.average_bf16 != nullptr)
      a.average_bf16[i] = __bfloat16_as_ushort(__float2bfloat16_rn(a.average[i]));
  }
}

bool is_aligned(const void* pointer, std::uintptr_t bytes) {
  return reinterpret_cast<std::uintptr_t>(pointer) % bytes == 0;
}

unsigned blocks_for(std::int64_t items) {
  constexpr std::int64_t kThreads = 256, kBlocksMax = 4096;
  const std::int64_t blocks = (items + kThreads - 1) / kThreads;
  return static_cast<unsigned>(blocks < kBlocksMax ? blocks : kBlocksMax);
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int paddock_fused_update_2(const FusedUpdateArrays* arrays,
                                                                             const FusedUpdateValues* values,
                                                                             void* stream) {
  const FusedUpdateArrays a = *arrays;
  const FusedUpdateValues v = *values;
  const bool are_aligned = is_aligned(a.value, 16) && is_aligned(a.gradient, 16) && is_aligned(a.first, 16) &&
                           is_aligned(a.second, 16) && is_aligned(a.average, 16) &&
                           is_aligned(a.value_bf16, 8) && is_aligned(a.average_bf16, 8);
  const std::int64_t quads = are_aligned ? a.count / 4 : 0;
  const auto on = static_cast<cudaStream_t>(stream);
  if (quads > 0) update_quads<<<blocks_for(quads), 256, 0, on>>>(a, v, quads);
  if (const std::int64_t rest = a.count - 4 * quads; rest > 0)
    update_singles<<<blocks_for(rest), 256, 0, on>>>(a, v, 4 * quads);
  return static_cast<int>(cudaGetLastError());
}
