#include "jobs/nccl_backend.h"

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

// The whole of libpaddock_nccl.so.
extern "C" __attribute__((visibility("default"))) void paddock_nccl_backend_1(
    const c10::intrusive_ptr<c10d::Store>& store, int rank, int world, std::chrono::milliseconds timeout,
    c10::intrusive_ptr<c10d::Backend>& backend) {
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  backend = c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, world, std::move(options));
}

static_assert(std::is_same_v<decltype(&paddock_nccl_backend_1), paddock::jobs::NcclBackendFunction>);
