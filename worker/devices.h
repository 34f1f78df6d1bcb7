// worker/devices.h – what this machine can give: cores and memory as affinity and cgroups allow, and which of its GPUs
// (gpu_monitor.h lists them) are wanted. Threads: any.
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
// Those of `found` that `wanted` names: "all", "none", or indexes "0,2". kInvalid: no such index.
Result<std::vector<Gpu>> choose_gpus(const std::vector<Gpu>& found, const std::string& wanted);

}  // namespace paddock::worker
