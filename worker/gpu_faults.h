// worker/gpu_faults.h – what a driver's message about a GPU means: whether the program on it did wrong, or the device.
// Numbers after NVIDIA's "XID Errors" and what its Kubernetes device plugin passes over. Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>

namespace paddock::worker {

enum class XidMeaning {
  kApplication,  // an illegal access, a time-out: the job's own fault, the device is well
  kDevice,       // memory, link or the device itself: nothing more is to be placed there
  kUnknown,      // told and counted; a device is not condemned for what nobody can read
};

XidMeaning meaning_of_xid(std::uint64_t xid);
// "Xid 79 (the GPU has fallen off the bus)"
std::string describe_xid(std::uint64_t xid);

}  // namespace paddock::worker
