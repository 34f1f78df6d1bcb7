// coordinator/cluster_record.h – the cluster and its graphs as bytes and back (coordinator/record.h): what
// snapshots and the archive hold. A field that is added to a struct of the scheduler is appended to its list in
// cluster_record.cpp; until then that file does not compile. Threads: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "scheduler/cluster.h"

namespace paddock::coordinator {

std::string to_bytes(const scheduler::Cluster& cluster);
std::string to_bytes(const scheduler::Graph& graph);

// kCorrupt: not what to_bytes() makes.
Result<scheduler::Cluster> to_cluster(std::string_view bytes);
Result<scheduler::Graph> to_graph(std::string_view bytes);

}  // namespace paddock::coordinator
