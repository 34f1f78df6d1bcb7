// scheduler/placement.h – which nodes a gang gets: all that it needs, or none. Tightest first: what stays free stays
// together, and work without GPUs keeps off the nodes that have some. A gang of several nodes gets them from as few
// racks (label `rack`) as it can. Threads: pure functions.
#pragma once

#include <array>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "scheduler/cluster.h"

namespace paddock::scheduler {

using Nodes = std::set<NodeId>;

// What a gang looks for.
struct Wanted {
  const Request& request;
  std::uint32_t nodes = 1;  // as many as it can have up to this, at least request.fewest_nodes()
  GraphId graph{};          // whose jobs request.apart keeps apart
};

// Which nodes may not be taken: those kept for holds, by the holds' marks in the index, and some by name.
struct Closed {
  std::array<bool, 2 * kHoldsMax> holds{};
  const Nodes* others = nullptr;  // not owned; nullptr: none
};

// The nodes, without those of `closed`, that can take the gang now, in the order of its ranks; none: it does not
// fit.
std::optional<std::vector<NodeId>> find_nodes(const Cluster& cluster, const Wanted& wanted,
                                              const Nodes& closed);

// `would_do`: set, where it does not fit, to the number of nodes that would do.
std::optional<std::vector<NodeId>> find_nodes(const Cluster& cluster, const Wanted& wanted,
                                              const Closed& closed, std::uint32_t* would_do = nullptr);

// The numbers of all places that can take a part of the gang now.
std::vector<std::size_t> all_fitting(const Cluster& cluster, const Wanted& wanted, const Closed& closed);

// Whether the node may be taken at all: it takes work, has the labels, and no job that is to be kept apart.
bool may_take(const Cluster& cluster, const Node& node, const Wanted& wanted);

// The same of the node of that place, and that it is not closed.
bool is_open(const Cluster& cluster, std::size_t number, const Wanted& wanted, const Closed& closed);

// The job that works on the same stage, if it is another.
std::optional<JobKey> same_work(const Cluster& cluster, const JobKey& key, const Job& job);

}  // namespace paddock::scheduler
