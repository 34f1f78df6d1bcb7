// jobs/tensors.h – LibTorch tensors ↔ the plain named bytes that storage/ reads and writes.
// Threads: pure functions. Throws std::invalid_argument for a dtype that either side lacks.
#pragma once

#include <torch/types.h>

#include <string>

#include "model/weights.h"
#include "storage/safetensors.h"

namespace paddock::jobs {

// "F32" …; the name storage knows the dtype by.
std::string dtype_name(torch::ScalarType type);

// A view of a contiguous CPU tensor: `tensor` must outlive it and stay unchanged.
storage::TensorBytes bytes_of_tensor(const std::string& name, const torch::Tensor& tensor);

// A tensor with its own copy of the bytes, on the CPU.
torch::Tensor tensor_of_bytes(const storage::TensorBytes& bytes);

model::TensorMap tensors_of_bytes(const std::vector<storage::TensorBytes>& all);

}  // namespace paddock::jobs
