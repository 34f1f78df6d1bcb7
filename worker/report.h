// worker/report.h – what a worker has to tell the coordinator about its ranks, as values.
// The wire form is Report in wire/protocol.capnp; what a rank may say itself is docs/rank-protocol.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>

#include "base/ids.h"

namespace paddock::worker {

struct RankKey {
  Fence fence;
  RankId rank;
  auto operator<=>(const RankKey&) const = default;
};

// What the worker sees.
struct Started {
  std::int64_t pid = 0;
};
struct Ended {
  std::int32_t exit_code = -1;  // -1: a signal ended it, or it never started
  std::int32_t signal = 0;      // 0: it exited
  std::string reason;
  bool out_of_memory = false;
  bool node_fault = false;  // the worker ended it for its own sake: counts as a lost node
};

// What the driver says of a device of this node; its report has no rank.
struct GpuFault {
  std::string uuid;
  std::string reason;
};

// What the rank says.
struct Progress {
  std::string json;
};
struct Artifact {
  std::string name;
  std::string path;
  std::string hash;
};
struct Checkpoint {
  std::int64_t step = 0;
  std::string path;
  std::string hash;
  std::uint64_t bytes = 0;
};
struct Failure {
  std::string message;
};
using Saying = std::variant<Progress, Artifact, Checkpoint, Failure>;

using Finding = std::variant<Started, Ended, Progress, Artifact, Checkpoint, Failure, GpuFault>;
// About what it takes in a message.
std::size_t bytes_of(const Finding& finding);
// What one message may hold of them, so that it stays far below kMessageBytesMax.
inline constexpr std::size_t kReportBytesInFlight = 1u << 20;

struct Report {
  std::uint64_t number = 0;  // 0: not kept and not acknowledged (progress)
  RankKey key;
  Finding finding;
};

}  // namespace paddock::worker
