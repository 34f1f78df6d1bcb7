#include "scheduler/cordon.h"

#include <algorithm>
#include <set>
#include <utility>

#include "scheduler/attempt.h"
#include "scheduler/sentence.h"

namespace paddock::scheduler {
namespace {

void lift(Step& step, Node& node) {
  Cluster& cluster = step.cluster;
  if (!node.cordon) return;
  cluster.cordons.erase({node.cordon->ends_at, node.name});
  node.cordon.reset();
  index_node(cluster, node);
  step.look_again();
}

void put(Step& step, Node& node, Cordon cordon) {
  Cluster& cluster = step.cluster;
  lift(step, node);
  node.cordon = std::move(cordon);
  if (node.cordon->ends_at > Instant{}) cluster.cordons.insert({node.cordon->ends_at, node.name});
  index_node(cluster, node);
  // What was kept for others on this node must be kept elsewhere.
  step.look_again();
}

Node* find_node(Cluster& cluster, const NodeId& name) {
  const auto found = cluster.nodes.find(name);
  return found == cluster.nodes.end() ? nullptr : &found->second;
}

}  // namespace

void note_fault(Step& step, Node& node, const std::string& reason) {
  if (step.at.now - node.last_fault_at > kFaultsForgottenAfter) node.faults = 0;
  ++node.faults;
  node.last_fault_at = step.at.now;
  if (node.faults < kFaultsInARowMax || (node.cordon && node.cordon->is_drain)) return;
  Millis pause = kCordonFirst;
  for (std::int32_t i = 0; i < node.cordons_in_a_row && pause < kCordonMax; ++i) pause *= 2;
  pause = std::min(pause, kCordonMax);
  ++node.cordons_in_a_row;
  put(step, node,
      Cordon{count(static_cast<std::uint64_t>(node.faults), "attempt") +
                 " in a row ended for its sake, the last because " + reason + "; it is tried again after " +
                 show_duration(pause),
             false, step.at.now + pause, step.at.wall});
}

void note_success(Node& node) {
  node.faults = 0;
  node.cordons_in_a_row = 0;
}

void drain(Step& step, const NodeDrained& event) {
  Node* node = find_node(step.cluster, event.node);
  if (node == nullptr) return;
  put(step, *node, Cordon{event.reason, true, event.ends_at, step.at.wall});
}

void resume(Step& step, const NodeResumed& event) {
  Node* node = find_node(step.cluster, event.node);
  if (node == nullptr) return;
  node->faults = 0;
  node->cordons_in_a_row = 0;
  lift(step, *node);
}

void end_cordon(Step& step, const CordonEnded& event) {
  Node* node = find_node(step.cluster, event.node);
  if (node == nullptr || !node->cordon || node->cordon->ends_at == Instant{} ||
      step.at.now < node->cordon->ends_at)
    return;
  if (!node->cordon->is_drain) {
    node->faults = kFaultsInARowMax - 1;  // on probation: the next fault cordons it again, for longer
    node->last_fault_at = step.at.now;
    return lift(step, *node);
  }
  step.cluster.cordons.erase({node->cordon->ends_at, node->name});
  node->cordon->ends_at = Instant{};
  const std::string reason = why_cordoned(*node);
  for (const Fence fence : std::set(node->attempts)) preempt_attempt(step, fence, reason);
}

void move_if_drained(Step& step, const Found& found) {
  for (const Rank& rank : found.attempt->ranks) {
    const auto node = step.cluster.nodes.find(rank.node);
    if (node == step.cluster.nodes.end() || !node->second.cordon || !node->second.cordon->is_drain) continue;
    return preempt_attempt(step, found.attempt->fence, why_cordoned(node->second));
  }
}

std::string why_cordoned(const Node& node) {
  if (!node.cordon || !node.is_ready) return "";
  return node.name.value + (node.cordon->is_drain ? " is being drained: " : " is cordoned: ") +
         node.cordon->reason;
}

}  // namespace paddock::scheduler
