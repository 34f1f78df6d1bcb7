// simulation/checks/nothing_lost.h – what a client was told stays true: a graph that was accepted is known, by the same
// number; one whose cancelling was confirmed is cancelled, or had ended. Looked at after every turn. Threads: one owner.
#pragma once

#include <map>
#include <set>
#include <string>

#include "coordinator/archive.h"
#include "scheduler/cluster.h"
#include "simulation/trace.h"

namespace paddock::simulation {

class NothingLost {
 public:
  explicit NothingLost(Trace& trace) : trace_(trace) {}

  void accepted(const std::string& token, GraphId graph) {
    const auto [known, is_new] = graphs_.try_emplace(token, graph);
    if (!is_new && known->second != graph)
      trace_.violated("nothing lost: submission " + token + " is graph " +
                      std::to_string(known->second.value) + " and graph " + std::to_string(graph.value));
  }
  void cancel_confirmed(GraphId graph) { cancelled_.insert(graph); }

  void look(const scheduler::Cluster& cluster, storage::Tables& tables) {
    for (const auto& [token, id] : graphs_) {
      const scheduler::Graph* graph = scheduler::find_graph(cluster, id);
      if (graph == nullptr) {
        if (archived_.contains(id)) continue;
        scheduler::Cluster past;
        const auto found = coordinator::Archive(tables).find(id, past);
        if (!found || !*found) {
          trace_.violated("nothing lost: graph " + std::to_string(id.value) +
                          ", which was accepted, is unknown");
        } else {
          trace_.probe("graph archived");
        }
        archived_.insert(id);
      } else if (cancelled_.contains(id) && !graph->cancelled &&
                 graph->state == scheduler::GraphState::kActive) {
        trace_.violated("nothing lost: graph " + std::to_string(id.value) +
                        " goes on, though it was cancelled");
        cancelled_.erase(id);
      }
    }
  }

 private:
  Trace& trace_;
  std::map<std::string, GraphId> graphs_;
  std::set<GraphId> cancelled_;
  std::set<GraphId> archived_;  // or reported: once is enough
};

}  // namespace paddock::simulation
