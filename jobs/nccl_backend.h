// jobs/nccl_backend.h – NCCL, kept in a library of its own beside the programs (libpaddock_nccl.so): it needs LibTorch's CUDA half,
// which only a rank with a GPU loads.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <torch/csrc/distributed/c10d/Backend.hpp>
#include <torch/csrc/distributed/c10d/Store.hpp>

namespace paddock::jobs {

// What the library exports. Meets the other ranks through `store`; operations run on the GPU of their tensors. Throws
// c10::Error where no GPU is.
using NcclBackendFunction = void (*)(const c10::intrusive_ptr<c10d::Store>& store, int rank, int world,
                                     std::chrono::milliseconds timeout,
                                     c10::intrusive_ptr<c10d::Backend>& backend);
inline constexpr const char* kNcclBackendSymbol = "paddock_nccl_backend_1";

struct NcclLibrary {
  NcclBackendFunction backend = nullptr;
  std::string problem;  // why there is none
};
// Loaded at the first call, with all of LibTorch's CUDA half.
const NcclLibrary& nccl_library();

// The first rank that says it has no NCCL, if any does. Waits until all have said it. Collective; throws what the store does,
// c10::Error when its time-out passes.
std::optional<std::int64_t> rank_without_nccl(c10d::Store& store, std::int64_t rank, std::int64_t world,
                                              bool has_own);

}  // namespace paddock::jobs
