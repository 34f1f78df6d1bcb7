// worker/devices.h – what this machine can give: cores and memory as affinity and cgroups allow, GPUs by
// NVML. NVML is loaded when it is there (libnvidia-ml.so.1) and never linked; its few declarations are our
// own. Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace paddock::worker {

struct Gpu {
  std::string uuid;
  std::string model;
  std::uint64_t memory_bytes = 0;
};

// Cores that may be used, at least 1: the affinity mask, and the CPU quota of every cgroup above, rounded
// down.
std::uint32_t usable_cpus();
// The machine's memory, or the smallest limit of a cgroup above.
std::uint64_t usable_memory_bytes();
// In NVML's order; empty where there is no driver. kUnavailable: there is one, and it answers with an error.
Result<std::vector<Gpu>> find_gpus();
// Those of `found` that `wanted` names: "all", "none", or indexes "0,2". kInvalid: no such index.
Result<std::vector<Gpu>> choose_gpus(const std::vector<Gpu>& found, const std::string& wanted);

}  // namespace paddock::worker
