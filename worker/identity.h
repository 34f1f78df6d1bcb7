// worker/identity.h – who this worker is and what it offers; constant while it runs.
// Threads: any.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "worker/devices.h"
#include "worker/options.h"

namespace paddock::worker {

struct Identity {
  std::string node;
  std::uint64_t incarnation = 0;  // drawn at every start: a new one means that all older ranks are dead
  std::string address;
  std::uint32_t cpus = 0;
  std::uint64_t memory_bytes = 0;
  std::vector<Gpu> gpus;
  std::vector<std::uint16_t> ports;
  std::map<std::string, std::string> labels{};
};

// Fills in from the machine what the options leave open; `gpus` are those that it has; `ports` stays empty.
// kInvalid: an option is wrong. kUnavailable: the machine does not answer.
Result<Identity> make_identity(const WorkerOptions& options, const std::vector<Gpu>& gpus);

}  // namespace paddock::worker
