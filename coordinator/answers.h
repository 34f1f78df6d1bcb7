// coordinator/answers.h – the cluster as clients see it: fills in the protocol's answers. Reads only.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "coordinator/job_progress.h"
#include "scheduler/cluster.h"
#include "wire/envelope.h"

namespace paddock::coordinator {

inline std::string to_text(capnp::Text::Reader text) {
  return std::string(text.begin(), text.size());
}

// The run's name in the checkpoint index: "3/pretrain"
std::string run_name(const JobKey& job);
// With what the names of all runs of the graph begin, and no others.
std::string runs_of(GraphId graph);

// "3/pretrain#2"
std::string shown(const scheduler::AttemptKey& attempt);

// All graphs that are to be shown, those of the archive and those of the cluster, by number and without jobs.
void write_graphs(wire::Status::Builder status, const scheduler::Cluster& cluster,
                  const std::vector<scheduler::Graph>& archived,
                  const std::function<bool(const scheduler::Graph&)>& is_shown);

// Which of a graph's jobs an answer is to hold: so that it fits a message, and costs the coordinator some milliseconds
// whatever the graph. Those that are left out are said by `next` (wire/protocol.capnp).
struct JobsPage {
  std::uint32_t limit = 0;  // 0: as many as fit
  std::string after = {};
  std::string state = {};
  std::string job = {};
};
inline constexpr std::uint32_t kJobsPerPageMax = 1'000;
inline constexpr std::uint32_t kJobsScannedMax = 20'000;  // looked at for one answer
inline constexpr std::uint64_t kPageBytesMax = 8u << 20;  // of jobs, about
inline constexpr std::uint64_t kAttemptsBytesMax =
    1u << 20;  // of one job's attempts, about; the oldest are left out
inline constexpr std::uint64_t kNodesExplainedMax =
    200'000;  // jobs times nodes looked at to say what jobs wait for

// One graph, which must be there, with a page of its jobs.
void write_status(wire::Status::Builder status, const scheduler::Cluster& cluster, GraphId id,
                  const JobsPage& page, const Progress& progress, scheduler::Moment at);

// `lease`: what a heartbeat adds to its own moment, so that lease_until says when it came.
void write_nodes(wire::Message::Builder message, const scheduler::Cluster& cluster, Instant now,
                 Millis lease);

// What `node` is to start of the attempt. False: nothing (any more).
bool write_start(wire::Message::Builder message, const scheduler::Cluster& cluster, const NodeId& node,
                 Fence fence);

}  // namespace paddock::coordinator
