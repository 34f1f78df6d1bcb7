// coordinator/answers.h – the cluster as clients see it: fills in the protocol's answers. Reads only.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "scheduler/cluster.h"
#include "wire/envelope.h"

namespace paddock::coordinator {

inline std::string to_text(capnp::Text::Reader text) {
  return std::string(text.begin(), text.size());
}

// The run's name in the checkpoint index: "3/pretrain"
std::string run_name(const JobKey& job);

// "3/pretrain#2"
std::string shown(const scheduler::AttemptKey& attempt);

// The last progress report of rank 0 of a job's newest attempt, JSON.
using Progress = std::map<JobKey, std::string>;

// One graph with its jobs, or with id 0 all graphs that are to be shown, without. False: there is no such graph.
bool write_status(wire::Status::Builder status, const scheduler::Cluster& cluster, GraphId id,
                  const Progress& progress, Instant now,
                  const std::function<bool(const scheduler::Graph&)>& is_shown);

// `lease`: what a heartbeat adds to its own moment, so that lease_until says when it came.
void write_nodes(wire::Message::Builder message, const scheduler::Cluster& cluster, Instant now,
                 Millis lease);

// What `node` is to start of the attempt. False: nothing (any more).
bool write_start(wire::Message::Builder message, const scheduler::Cluster& cluster, const NodeId& node,
                 Fence fence);

}  // namespace paddock::coordinator
