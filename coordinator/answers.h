// coordinator/answers.h – the cluster as clients see it: fills in the protocol's answers. Reads only.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

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

// All graphs that are to be shown, those of the archive and those of the cluster, by number and without jobs.
void write_graphs(wire::Status::Builder status, const scheduler::Cluster& cluster,
                  const std::vector<scheduler::Graph>& archived,
                  const std::function<bool(const scheduler::Graph&)>& is_shown);

// One graph, which must be there, with its jobs.
void write_status(wire::Status::Builder status, const scheduler::Cluster& cluster, GraphId id,
                  const Progress& progress, Instant now);

// `lease`: what a heartbeat adds to its own moment, so that lease_until says when it came.
void write_nodes(wire::Message::Builder message, const scheduler::Cluster& cluster, Instant now,
                 Millis lease);

// What `node` is to start of the attempt. False: nothing (any more).
bool write_start(wire::Message::Builder message, const scheduler::Cluster& cluster, const NodeId& node,
                 Fence fence);

}  // namespace paddock::coordinator
