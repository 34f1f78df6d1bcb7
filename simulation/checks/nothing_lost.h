// simulation/checks/nothing_lost.h – what a client was told stays true: a graph that was accepted is known, by the same
// number; one whose cancelling was confirmed is cancelled, or had ended. Looked at after every turn. Threads: one owner.
#pragma once

#include <map>
#include <set>
#include <string>

#include "scheduler/cluster.h"
#include "simulation/checks/kept.h"
#include "simulation/trace.h"

namespace paddock::simulation {

class NothingLost {
 public:
  explicit NothingLost(Trace& trace) : trace_(trace) {}

  // Once a graph has gone for good its token may name another.
  void accepted(const std::string& token, GraphId graph, const Kept& kept) {
    const auto [known, is_new] = graphs_.try_emplace(token, graph);
    if (is_new || known->second == graph) return;
    trace_.probe("token of a removed graph used again");
    if (kept.is_removed(known->second))
      known->second = graph;
    else if (!kept.is_removed(graph))
      trace_.violated("nothing lost: submission " + token + " is graph " +
                      std::to_string(known->second.value) + " and graph " + std::to_string(graph.value));
  }
  void cancel_confirmed(GraphId graph) { cancelled_.insert(graph); }

  // `kept` says what has become of those that are not in memory.
  void look(const scheduler::Cluster& cluster, const Kept& kept) {
    for (const auto& [token, id] : graphs_)
      if (!kept.is_known(id))
        trace_.violated("nothing lost: graph " + std::to_string(id.value) +
                        ", which was accepted, is unknown");
    for (const GraphId id : std::set(cancelled_)) {
      const scheduler::Graph* graph = scheduler::find_graph(cluster, id);
      if (graph == nullptr || graph->cancelled || graph->state != scheduler::GraphState::kActive) continue;
      trace_.violated("nothing lost: graph " + std::to_string(id.value) +
                      " goes on, though it was cancelled");
      cancelled_.erase(id);
    }
  }

 private:
  Trace& trace_;
  std::map<std::string, GraphId> graphs_;
  std::set<GraphId> cancelled_;
};

}  // namespace paddock::simulation
