// worker/nvml.h – NVIDIA's management library, loaded where it is there and never linked; its few declarations are our
// own, after nvml.h, whose codes and layouts NVIDIA keeps. Only the process of gpu_watch.h calls it: a call may hang for
// ever when a device or its driver is ill. Threads: one owner.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "worker/devices.h"

namespace paddock::worker {

class Nvml {
 public:
  // Nothing: there is no library, or no driver. kUnavailable: there is one, and it answers with an error.
  static Result<std::optional<Nvml>> open();

  // In the library's order; the index is what nvidia-smi shows.
  Result<std::vector<Gpu>> list() const;

  struct Happened {
    enum class Kind { kXid, kUncorrectedMemoryError };
    std::uint32_t gpu = 0;  // index
    Kind kind{};
    std::uint64_t xid = 0;
  };
  // Watches those GPUs that can be watched; how many.
  Result<std::uint32_t> watch();
  // What happens next to one that is watched. Nothing: the time is over.
  Result<std::optional<Happened>> wait(std::uint32_t timeout_ms) const;
  // Whether the device still answers at all; the error says how it does not.
  Result<void> probe(std::uint32_t gpu) const;

 private:
  using Device = void*;
  using EventSet = void*;
  struct Memory {
    unsigned long long total;
    unsigned long long free;
    unsigned long long used;
  };
  struct EventData {
    Device device;
    unsigned long long type;
    unsigned long long data;
    unsigned gpu_instance;
    unsigned compute_instance;
  };
  struct Functions {
    int (*init)();
    int (*count)(unsigned*);
    int (*device_at)(unsigned, Device*);
    int (*uuid_of)(Device, char*, unsigned);
    int (*name_of)(Device, char*, unsigned);
    int (*memory_of)(Device, Memory*);
    // Of these, drivers may lack the lot: then nothing is watched.
    int (*event_types_of)(Device, unsigned long long*);
    int (*make_event_set)(EventSet*);
    int (*register_events)(Device, unsigned long long, EventSet);
    int (*wait_for_event)(EventSet, EventData*, unsigned);
  };

  static Result<Functions> load(void* library);
  explicit Nvml(const Functions& functions) : call_(functions) {}

  Functions call_;
  std::vector<Device> devices_;
  EventSet events_ = nullptr;
};

}  // namespace paddock::worker
