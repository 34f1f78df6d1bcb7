#include "jobs/tensors.h"

#include <array>
#include <cstring>
#include <stdexcept>

namespace paddock::jobs {
namespace {

struct DtypeName {
  torch::ScalarType type;
  const char* name;
};
constexpr std::array<DtypeName, 9> kDtypes{{{torch::kFloat32, "F32"},
                                            {torch::kFloat64, "F64"},
                                            {torch::kBFloat16, "BF16"},
                                            {torch::kFloat16, "F16"},
                                            {torch::kInt64, "I64"},
                                            {torch::kInt32, "I32"},
                                            {torch::kUInt8, "U8"},
                                            {torch::kInt8, "I8"},
                                            {torch::kBool, "BOOL"}}};

}  // namespace

std::string dtype_name(torch::ScalarType type) {
  for (const auto& dtype : kDtypes) {
    if (dtype.type == type) return dtype.name;
  }
  throw std::invalid_argument(std::string("tensors of type ") + c10::toString(type) + " cannot be stored");
}

storage::TensorBytes bytes_of_tensor(const std::string& name, const torch::Tensor& tensor) {
  if (!tensor.is_contiguous() || !tensor.device().is_cpu())
    throw std::invalid_argument(name + ": only contiguous tensors on the CPU can be stored");
  return {name,
          dtype_name(tensor.scalar_type()),
          tensor.sizes().vec(),
          {static_cast<const std::byte*>(tensor.const_data_ptr()), tensor.nbytes()}};
}

torch::Tensor tensor_of_bytes(const storage::TensorBytes& bytes) {
  for (const auto& dtype : kDtypes) {
    if (bytes.dtype != dtype.name) continue;
    auto tensor = torch::empty(bytes.shape, dtype.type);
    if (tensor.nbytes() != bytes.bytes.size())
      throw std::invalid_argument(bytes.name + ": bytes do not fit the shape");
    if (!bytes.bytes.empty()) std::memcpy(tensor.mutable_data_ptr(), bytes.bytes.data(), bytes.bytes.size());
    return tensor;
  }
  throw std::invalid_argument(bytes.name + ": tensors of type " + bytes.dtype + " cannot be read");
}

model::TensorMap tensors_of_bytes(const std::vector<storage::TensorBytes>& all) {
  model::TensorMap tensors;
  for (const auto& bytes : all) tensors.emplace(bytes.name, tensor_of_bytes(bytes));
  return tensors;
}

}  // namespace paddock::jobs
