// scheduler/placement.h – which nodes a gang gets. Jobs go by priority, then by submission. A job that waits
// only for others to end has the nodes it will need held free for it, so that a large gang is not overtaken
// for ever. Threads: pure functions but place_queued.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "scheduler/step.h"

namespace paddock::scheduler {

using Nodes = std::set<NodeId>;

// The nodes, without those of `reserved`, that can take the gang now, tightest first chosen; none: it does
// not fit.
std::optional<Nodes> find_nodes(const Cluster& cluster, const Request& request, const Nodes& reserved);

// The nodes that could take it if they were empty, those that lack least first; none: too large for this
// cluster.
std::optional<Nodes> find_nodes_when_empty(const Cluster& cluster, const Request& request,
                                           const Nodes& reserved);

// The job that works on the same stage, if it is another.
std::optional<JobKey> same_work(const Cluster& cluster, const JobKey& key, const Job& job);

// Starts every queued job that can run now.
void place_queued(Step& step);

}  // namespace paddock::scheduler
