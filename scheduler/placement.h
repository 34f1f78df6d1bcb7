// scheduler/placement.h – which nodes a gang gets: all that it needs, or none. Tightest first: what stays free stays
// together, and work without GPUs keeps off the nodes that have some. A gang of several nodes gets them from as few
// racks (label `rack`) as it can. Threads: pure functions.
#pragma once

#include <map>
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

// The nodes, without those of `closed`, that can take the gang now, in the order of its ranks; none: it does not
// fit.
std::optional<std::vector<NodeId>> find_nodes(const Cluster& cluster, const Wanted& wanted,
                                              const Nodes& closed);

// The nodes that could take the smallest gang if they were empty, those that lack least first; none: too large for
// this cluster.
std::optional<Nodes> find_nodes_when_empty(const Cluster& cluster, const Wanted& wanted, const Nodes& closed);

// All nodes that can take a part of the gang now.
Nodes all_fitting(const Cluster& cluster, const Wanted& wanted, const Nodes& closed);

// Whether the node may be taken at all: it takes work, has the labels, and no job that is to be kept apart.
bool may_take(const Cluster& cluster, const Node& node, const Wanted& wanted);

// The job that works on the same stage, if it is another.
std::optional<JobKey> same_work(const Cluster& cluster, const JobKey& key, const Job& job);

// How many more of an attempt's resources a node would have if some of its attempts were gone.
class Release {
 public:
  Release(const Cluster& cluster, const Wanted& wanted, const Nodes& closed);

  // As if the attempt had ended.
  void release(Fence fence);
  // Takes that back.
  void restore(Fence fence);
  bool fits(const NodeId& node) const;
  // The nodes that fit now, or would with what was released.
  const Nodes& fitting() const { return fitting_; }

 private:
  void change(Fence fence, bool is_release);
  Room room_of(const Node& node) const;

  const Cluster& cluster_;
  const Wanted& wanted_;
  const Nodes& closed_;
  std::map<NodeId, Room> more_;
  Nodes fitting_;
};

}  // namespace paddock::scheduler
