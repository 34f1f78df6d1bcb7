// simulation/checks/faulty_gpus.h – a GPU that its worker has told to be ill gets no new rank until a new worker offers it
// again, and what the workers tell arrives. Looked at after every turn of the coordinator. Threads: one owner.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "scheduler/cluster.h"
#include "simulation/trace.h"

namespace paddock::simulation {

class FaultyGpus {
 public:
  explicit FaultyGpus(Trace& trace) : trace_(trace) {}

  void look(const scheduler::Cluster& cluster) {
    for (const auto& [name, node] : cluster.nodes) {
      for (const scheduler::Gpu& gpu : node.offer.gpus)
        if (!gpu.fault.empty()) known_.try_emplace({name, node.generation, gpu.uuid}, cluster.next_fence);
      for (const Fence fence : node.attempts) look_at(node, scheduler::find_attempt(cluster, fence));
    }
  }
  // What the daemon of that incarnation has told, some time ago.
  void told(const scheduler::Cluster& cluster, const std::string& name, std::uint64_t incarnation,
            const std::string& uuid) {
    const auto node = cluster.nodes.find(NodeId{name});
    if (node == cluster.nodes.end() || node->second.incarnation != incarnation) return;
    for (const scheduler::Gpu& gpu : node->second.offer.gpus)
      if (gpu.uuid == uuid && gpu.fault.empty())
        trace_.violated("faulty GPUs: nobody knows that " + uuid + " of " + name + " is ill");
  }

 private:
  void look_at(const scheduler::Node& node, const scheduler::FoundConst& found) {
    for (const scheduler::Rank& rank : found.attempt->ranks) {
      if (rank.node != node.name || rank.state == scheduler::RankState::kEnded) continue;
      for (const std::string& uuid : rank.gpus) {
        const auto known = known_.find({node.name, rank.generation, uuid});
        if (known == known_.end()) continue;
        trace_.probe("GPU fell ill under a rank");
        if (found.attempt->fence.value >= known->second)
          trace_.violated("faulty GPUs: attempt " + std::to_string(found.attempt->fence.value) +
                          " was given " + uuid + " of " + node.name.value + ", which is ill");
      }
    }
  }

  Trace& trace_;
  // By node, its generation and the GPU: the first fence that may not have it any more.
  std::map<std::tuple<NodeId, std::uint64_t, std::string>, std::uint64_t> known_;
};

}  // namespace paddock::simulation
