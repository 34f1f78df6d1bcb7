#include "jobs/devices.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string_view>

namespace paddock::jobs {
namespace {

bool may_have_gpu() {
  const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
  if (visible != nullptr) return std::string_view(visible) != "" && std::string_view(visible) != "-1";
  return std::filesystem::exists("/dev/nvidiactl");
}

// Empty, or why there is no GPU.
std::string load_cuda() {
  if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) return dlerror();
  if (!at::globalContext().hasCUDA()) return "no usable GPU or driver";
  return {};
}

}  // namespace

torch::Device choose_device(const std::string& device) {
  if (device == "cpu" || (device == "auto" && !may_have_gpu())) return torch::kCPU;
  const std::string problem = load_cuda();
  if (!problem.empty())
    throw std::runtime_error("a GPU was to be used but cannot be: " + problem +
                             "; set run.device to cpu to train without");
  return torch::Device(torch::kCUDA, 0);  // CUDA_VISIBLE_DEVICES holds this rank's own
}

void finish_own_work(torch::Device device) {
  if (device.is_cpu()) return;
  const c10::impl::VirtualGuardImpl guard(device.type());
  guard.synchronizeStream(guard.getStream(device));
}

void compare_devices(torch::Device own, model::Collective& ranks) {
  const auto all = ranks.all_gather(torch::tensor({own.is_cuda() ? 1 : 0}, torch::kInt64)).view({-1});
  const bool has_first = all[0].item<std::int64_t>() == 1;
  for (std::int64_t rank = 1; rank < ranks.ranks(); ++rank) {
    if ((all[rank].item<std::int64_t>() == 1) != has_first)
      throw std::invalid_argument("rank 0 has " + std::string(has_first ? "a" : "no") + " GPU and rank " +
                                  std::to_string(rank) + " has " + (has_first ? "none" : "one") +
                                  ": ask for GPUs with resources.gpus, or set run.device to cpu");
  }
}

torch::ScalarType choose_compute_type(const std::string& precision, torch::Device device) {
  if (precision == "fp32") return torch::kFloat32;
  if (precision == "bf16" || device.is_cuda()) return torch::kBFloat16;
  return __builtin_cpu_supports("avx512bf16") ? torch::kBFloat16 : torch::kFloat32;
}

void fix_threads(int threads) {
  at::set_num_threads(threads);
  at::set_num_interop_threads(1);
}

}  // namespace paddock::jobs
