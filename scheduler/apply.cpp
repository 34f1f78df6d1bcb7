#include "scheduler/apply.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "scheduler/attempt.h"
#include "scheduler/cordon.h"
#include "scheduler/dispatch.h"
#include "scheduler/elastic.h"
#include "scheduler/job.h"
#include "scheduler/submission.h"

namespace paddock::scheduler {
namespace {

void on(Step& step, const GraphSubmitted& event) {
  submit_graph(step, event);
}

void on(Step& step, const GraphCancelled& event) {
  cancel_graph(step, event.graph, event.reason);
}

void on(Step& step, const ScheduleSet& event) {
  set_schedule(step, event);
}

void on(Step& step, const ScheduleDue& event) {
  take_due(step, event);
}

void on(Step& step, const ScheduleSteered& event) {
  steer_schedule(step, event);
}

void on(Step& step, const ScheduleRunAsked& event) {
  run_schedule_now(step, event);
}

void on(Step& step, const ReservationSet& event) {
  set_reservation(step, event);
}

void on(Step& step, const ReservationRemoved& event) {
  remove_reservation(step, event);
}

void on(Step& step, const ReservationTurned& event) {
  turn_reservation(step, event);
}

void on(Step& step, const JobPrepared& event) {
  Job* job = find_job(step.cluster, event.job);
  if (job == nullptr || job->state != JobState::kPreparing) return;
  job->launch = event.launch;
  if (!event.is_cached) return move_job(step, event.job, JobState::kQueued);
  job->is_cached = true;
  job->artifacts = event.artifacts;
  succeed_job(step, event.job);
}

void on(Step& step, const JobRefused& event) {
  const Job* job = find_job(step.cluster, event.job);
  if (job == nullptr || job->state != JobState::kPreparing) return;
  finish_job(step, event.job, JobState::kFailed, event.reason);
}

void on(Step& step, const JobSkipped& event) {
  const Job* job = find_job(step.cluster, event.job);
  if (job == nullptr || job->state != JobState::kPreparing) return;
  finish_job(step, event.job, JobState::kSkipped, event.reason);
}

void on(Step& step, const TimeLimitReached& event) {
  end_overdue(step, event.fence);
}

void on(Step& step, const NodeJoined& event) {
  if (event.node.value.empty()) return;
  Node& node = step.cluster.nodes[event.node];
  const bool is_new = node.name != event.node || node.incarnation != event.incarnation;
  if (is_new) {
    lose_ranks(step, node, event.node.value + " lost its ranks: its worker was started again", true);
    node.name = event.node;
    if (node.incarnation != 0) node.note_over(node.incarnation);
    node.incarnation = event.incarnation;
    ++node.generation;
    node.offer = event.offer;
    node.free = all_of(event.offer);
  }
  node.address = event.address;
  node.is_ready = true;
  set_lease(step.cluster, node, event.lease_until);
  index_node(step.cluster, node);
  step.cluster.is_placement_due = true;
}

// The node, if it is ready and this is about the incarnation that we know.
Node* ready_node(Cluster& cluster, const NodeId& name, std::uint64_t incarnation) {
  const auto found = cluster.nodes.find(name);
  if (found == cluster.nodes.end() || !found->second.is_ready || found->second.incarnation != incarnation)
    return nullptr;
  return &found->second;
}

void on(Step& step, const NodeSeen& event) {
  if (Node* node = ready_node(step.cluster, event.node, event.incarnation)) {
    set_lease(step.cluster, *node, std::max(node->lease_until, event.lease_until));
  }
}

void on(Step& step, const NodeLeft& event) {
  if (Node* node = ready_node(step.cluster, event.node, event.incarnation)) {
    node->is_ready = false;
    node->note_over(node->incarnation);
    lose_ranks(step, *node, event.node.value + " left the cluster", false);
    index_node(step.cluster, *node);
    step.look_again();  // what was kept for others on it must be kept elsewhere
  }
}

void on(Step& step, const GpuFaulted& event) {
  const auto found = step.cluster.nodes.find(event.node);
  if (found == step.cluster.nodes.end() || found->second.incarnation != event.incarnation) return;
  Node& node = found->second;
  if (!node.is_ready && step.cluster.rules < 3) return;  // but a lost node may come back as it is
  const auto gpu = std::ranges::find(node.offer.gpus, event.uuid, &Gpu::uuid);
  if (gpu == node.offer.gpus.end() || !gpu->fault.empty()) return;
  gpu->fault = event.reason.empty() ? "faulty" : event.reason;
  node.free.gpus.erase(event.uuid);
  index_node(step.cluster, node);
  if (step.cluster.rules >= 3) step.look_again();  // a job for which it was kept may fit there no more
}

void on(Step& step, const NodeLost& event) {
  if (Node* node = ready_node(step.cluster, event.node, event.incarnation)) {
    node->is_ready = false;
    lose_ranks(step, *node, event.node.value + " was lost: its lease ran out without a word from it", true);
    index_node(step.cluster, *node);
    step.look_again();
  }
}

void on(Step& step, const BackoffEnded& event) {
  const Job* job = find_job(step.cluster, event.job);
  if (job == nullptr || job->state != JobState::kBackingOff) return;
  move_job(step, event.job, JobState::kQueued);
}

// The rank, while its attempt lives: what a stale one reports is refused.
Rank* live_rank(Cluster& cluster, Fence fence, RankId rank) {
  const Found found = find_attempt(cluster, fence);
  if (found.attempt == nullptr || !found.attempt->is_live() || rank.value >= found.attempt->ranks.size())
    return nullptr;
  Rank& reported = found.attempt->ranks[rank.value];
  return reported.state == RankState::kEnded ? nullptr : &reported;
}

void on(Step& step, const RankStarted& event) {
  if (Rank* rank = live_rank(step.cluster, event.fence, event.rank)) {
    rank->state = RankState::kStarted;
    rank->pid = event.pid;
  }
}

void on(Step& step, const RankEnded& event) {
  end_rank(step, event);
}

void on(Step& step, const FailureReported& event) {
  if (Rank* rank = live_rank(step.cluster, event.fence, event.rank)) rank->failure = event.message;
}

void on(Step& step, const ArtifactRecorded& event) {
  const Found found = find_attempt(step.cluster, event.fence);
  if (found.attempt == nullptr || !found.attempt->is_live()) return;
  found.job->artifacts[event.name] = event.artifact;
}

void on(Step& step, const CheckpointRecorded& event) {
  const Found found = find_attempt(step.cluster, event.fence);
  if (found.attempt == nullptr || !found.attempt->is_live()) return;
  step.effects.push_back(RecordCheckpoint{found.key, found.attempt->number, event.fence, event.step,
                                          event.path, event.hash, event.bytes, step.at.wall});
  move_if_drained(step, found);
  grow_at_checkpoint(step, found);
}

void on(Step& step, const NodeDrained& event) {
  drain(step, event);
}

void on(Step& step, const NodeResumed& event) {
  resume(step, event);
}

void on(Step& step, const CordonEnded& event) {
  end_cordon(step, event);
}

void on(Step& step, const TenantSet& event) {
  if (!is_name(event.tenant) || event.weight_permille < 1) return;
  Tenant& tenant = step.cluster.tenants[event.tenant];
  tenant.weight_permille = event.weight_permille;
  tenant.quota = event.quota;
  step.cluster.is_placement_due = true;
}

void on(Step& step, const CoordinatorStarted& event) {
  if (event.rules != step.cluster.rules) step.cluster.is_placement_due = true;
  step.cluster.rules = event.rules;
  if (event.rules < 2) {
    step.cluster.holds.clear();
    index_holds(step.cluster);
  }
  for (auto& [name, node] : step.cluster.nodes) {
    if (node.is_ready) set_lease(step.cluster, node, event.lease_until);
  }
  for (const auto& [id, graph] : step.cluster.graphs) {
    if (graph.state != GraphState::kActive) continue;
    for (const auto& [name, job] : graph.jobs) {
      if (job.state == JobState::kPreparing) step.effects.push_back(PrepareJob{JobKey{id, name}});
    }
  }
}

void on(Step& step, const RestDue&) {
  if (step.cluster.rest) step.cluster.rest->is_due = true;
}

// Takes those that have ended out of everything that counts graphs; what they made stays in the cache.
void on(Step& step, const GraphsArchived& event) {
  std::set<GraphId> gone;
  for (const GraphId id : event.graphs) {
    const Graph* graph = find_graph(step.cluster, id);
    if (graph == nullptr || graph->state == GraphState::kActive) continue;
    for (const auto& [name, job] : graph->jobs) {
      for (const Attempt& attempt : job.attempts) step.cluster.attempts.erase(attempt.fence);
    }
    step.cluster.graphs.erase(id);
    gone.insert(id);
  }
  std::erase_if(step.cluster.tokens, [&](const auto& entry) { return gone.contains(entry.second); });
}

}  // namespace

void apply(Cluster& cluster, const Event& event, Effects& effects) {
  cluster.now = std::max(cluster.now, event.at.now);
  Step step{cluster, event.at, effects};
  std::visit([&](const auto& what) { on(step, what); }, event.what);
  const bool is_due = cluster.is_placement_due || (cluster.rest && cluster.rest->is_due);
  // NodeSeen is not journaled, and a replay would not know that it was decided then.
  if (is_due && !event.is_followed && !std::holds_alternative<NodeSeen>(event.what)) place_queued(step);
}

}  // namespace paddock::scheduler
