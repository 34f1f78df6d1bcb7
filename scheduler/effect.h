// scheduler/effect.h – what the coordinator is to do after an event was applied. An effect may get lost (the
// coordinator dies): each is asked for again by CoordinatorStarted, by reconcile(), or is harmless to miss.
// Threads: values.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "scheduler/graph.h"

namespace paddock::scheduler {

// Resolve its references and options and look for finished work; answer with JobPrepared, JobRefused or JobSkipped.
struct PrepareJob {
  JobKey job;
  bool operator==(const PrepareJob&) const = default;
};

// Tell `node` to start its ranks of the attempt; all about them stands in the cluster.
struct StartRanks {
  NodeId node;
  Fence fence;
  bool operator==(const StartRanks&) const = default;
};

struct EndAttempt {
  NodeId node;
  Fence fence;
  Millis grace{0};
  std::string reason;
  bool operator==(const EndAttempt&) const = default;
};

// Put it into the index. Lost ones are found again by replay: recording twice changes nothing.
struct RecordCheckpoint {
  JobKey job;
  std::uint32_t attempt = 0;
  Fence fence;
  std::int64_t step = 0;
  std::string path;
  std::string hash;
  std::uint64_t bytes = 0;
  WallTime recorded;
  bool operator==(const RecordCheckpoint&) const = default;
};

// For the log: one line a transition.
struct ReportJob {
  JobKey job;
  JobState state{};
  std::string reason;
  bool operator==(const ReportJob&) const = default;
};

using Effect = std::variant<PrepareJob, StartRanks, EndAttempt, RecordCheckpoint, ReportJob>;
using Effects = std::vector<Effect>;

}  // namespace paddock::scheduler
