// worker/gpu_watch.h – the process that alone speaks to the GPUs' driver, so that a call that never returns stops nobody
// else: the hidden subcommand `gpu-watch`. It lists the GPUs, then tells what happens to them, a line each:
//   gpu UUID MEMORY_BYTES MODEL …       all of them, then
//   ready                               the list is whole
//   xid UUID NUMBER | memory UUID | lost UUID REASON …
//   alive                               at least every second while the driver answers
//   failed REASON …                     the driver answers with an error; the last line
// gpu_monitor.h reads it. Threads: one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "worker/devices.h"

namespace paddock::worker {

struct GpuListed {
  Gpu gpu;
};
struct GpusReady {};
struct GpuXid {
  std::string uuid;
  std::uint64_t xid = 0;
};
struct GpuMemoryError {
  std::string uuid;
};
struct GpuLost {
  std::string uuid;
  std::string reason;
};
struct GpusAlive {};
struct GpusFailed {
  std::string reason;
};
using GpuNews = std::variant<GpuListed, GpusReady, GpuXid, GpuMemoryError, GpuLost, GpusAlive, GpusFailed>;

// Nothing: no such line.
std::optional<GpuNews> parse_gpu_line(std::string_view line);
std::string to_line(const GpuNews& news);  // with its newline

// The subcommand: writes to standard output until that is closed or its parent dies. Returns an exit code.
int gpu_watch_main();

}  // namespace paddock::worker
