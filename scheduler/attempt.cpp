#include "scheduler/attempt.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/planted_bug.h"
#include "scheduler/cordon.h"
#include "scheduler/failure.h"
#include "scheduler/fair_share.h"
#include "scheduler/job.h"
#include "scheduler/priority.h"
#include "scheduler/retry.h"
#include "scheduler/sentence.h"

namespace paddock::scheduler {
namespace {

// docs/rank-protocol.md
constexpr std::int32_t kExitStopped = 75;

// Only the generation that the rank was placed on still counts it: a new one began with everything free.
Node* node_of(Cluster& cluster, const Rank& rank) {
  const auto found = cluster.nodes.find(rank.node);
  return found != cluster.nodes.end() && found->second.generation == rank.generation ? &found->second
                                                                                     : nullptr;
}

void take(Node& node, const Request& request, Rank& rank) {
  node.free.cpus -= request.cpus_per_rank;
  node.free.memory_bytes -= request.memory_bytes_per_rank;
  for (const Gpu& gpu : node.offer.gpus) {
    if (rank.gpus.size() == request.gpus_per_rank) break;
    if (is_wanted(request, gpu) && node.free.gpus.erase(gpu.uuid) > 0) rank.gpus.push_back(gpu.uuid);
  }
  if (is_planted(PlantedBug::kGrantTwice)) node.free.gpus.insert(rank.gpus.begin(), rank.gpus.end());
}

void give_back(Cluster& cluster, Node& node, const Request& request, const Rank& rank) {
  node.free.cpus += request.cpus_per_rank;
  node.free.memory_bytes += request.memory_bytes_per_rank;
  for (const std::string& gpu : rank.gpus) {
    if (is_well(node.offer, gpu)) node.free.gpus.insert(gpu);
  }
  index_freed(cluster, node);
}

// Whether others of the attempt still run on the rank's node: they stand side by side.
bool has_ranks_beside(const Job& job, const Attempt& attempt, const Rank& rank) {
  const std::size_t a_node = job.request.resources->ranks_per_node;
  const auto number = static_cast<std::size_t>(&rank - attempt.ranks.data());
  const std::size_t first = number / a_node * a_node;
  const auto beside = std::span(attempt.ranks).subspan(first, std::min(a_node, attempt.ranks.size() - first));
  return std::ranges::any_of(beside, [](const Rank& each) { return each.state != RankState::kEnded; });
}

// It runs against the clock only until it is being ended, or has.
void forget_time_limit(Cluster& cluster, const Job& job, const Attempt& attempt) {
  if (job.request.time_limit > Millis(0))
    cluster.time_limits.erase({attempt.started_at + job.request.time_limit, attempt.fence});
}

const Graph& graph_of(const Cluster& cluster, const Attempt& attempt) {
  return *find_graph(cluster, cluster.attempts.at(attempt.fence).job.graph);
}

void begin_ending(Step& step, const Job& job, Attempt& attempt, Ending ending) {
  if (attempt.ending) {
    Ending& before = *attempt.ending;
    const bool takes_over = ending.outcome == Outcome::kCancelled ||
                            (ending.outcome == Outcome::kNodeLost && before.may_retry &&
                             (before.outcome == Outcome::kFailed || before.outcome == Outcome::kStopped ||
                              before.outcome == Outcome::kPreempted));
    if (!takes_over) return;
    ending.since = before.since;  // its nodes were told then
    attempt.ending = std::move(ending);
    return;
  }
  attempt.ending = std::move(ending);
  forget_time_limit(step.cluster, job, attempt);
  index_ending(step.cluster, graph_of(step.cluster, attempt), job, attempt);
  std::set<NodeId> told;
  for (const Rank& rank : attempt.ranks) {
    if (rank.state == RankState::kEnded || !told.insert(rank.node).second) continue;
    step.effects.push_back(EndAttempt{rank.node, attempt.fence, job.request.grace, attempt.ending->reason});
  }
}

void settle_job(Step& step, const JobKey& key, Job& job, const Attempt& attempt, bool may_retry) {
  if (attempt.outcome == Outcome::kSucceeded) return succeed_job(step, key);
  const Graph& graph = *find_graph(step.cluster, key.graph);
  if (attempt.outcome == Outcome::kCancelled || graph.cancelled) {
    return finish_job(step, key, JobState::kCancelled, graph.cancelled.value_or(attempt.reason));
  }
  if (attempt.outcome == Outcome::kFailed || attempt.outcome == Outcome::kTimedOut) {
    ++job.failures;
    job.interruptions = 0;
  } else {
    ++job.interruptions;
  }
  const auto pause = pause_before_retry(job, attempt.outcome, may_retry);
  if (!pause) return finish_job(step, key, JobState::kFailed, attempt.reason);
  job.retry_at = step.at.now + *pause;
  move_job(step, key, JobState::kBackingOff,
           "attempt " + std::to_string(attempt.number) + " ended (" + attempt.reason + ")");
}

void finish_attempt(Step& step, const JobKey& key, Job& job, Attempt& attempt) {
  const bool may_retry = !attempt.ending || attempt.ending->may_retry;
  attempt.outcome = attempt.ending ? attempt.ending->outcome : Outcome::kSucceeded;
  attempt.reason = attempt.ending ? attempt.ending->reason : "all ranks exited 0";
  attempt.ending.reset();
  forget_time_limit(step.cluster, job, attempt);
  forget_attempt(step.cluster, graph_of(step.cluster, attempt), attempt);
  if (attempt.outcome == Outcome::kSucceeded) {
    for (const Rank& rank : attempt.ranks) {
      if (Node* node = node_of(step.cluster, rank)) note_success(*node);
    }
  }
  attempt.ended = step.at.wall;
  if (Node* master = node_of(step.cluster, attempt.ranks.front())) {
    master->free.ports.insert(attempt.master_port);
    index_freed(step.cluster, *master);
  }
  step.cluster.is_placement_due = true;
  settle_job(step, key, job, attempt, may_retry);
}

// Marks the rank as ended and frees what it had; the caller settles the attempt.
void close_rank(Step& step, const Job& job, Attempt& attempt, Rank& rank) {
  rank.state = RankState::kEnded;
  note_rank_ended(step.cluster, attempt);
  charge(step.cluster, graph_of(step.cluster, attempt).tenant, job.request.resources, Charge::kGiveBack,
         step.at.now);
  if (Node* node = node_of(step.cluster, rank)) {
    give_back(step.cluster, *node, job.request.resources, rank);
    const bool is_last = !has_ranks_beside(job, attempt, rank);
    if (is_last) node->attempts.erase(attempt.fence);
    forget_rank(step.cluster, job, attempt, rank, is_last);
  }
  step.cluster.is_placement_due = true;
}

bool is_over(const Cluster& cluster, const Attempt& attempt) {
  return !cluster.index.open_ranks.contains(attempt.fence);
}

Ending cause_of(const RankEnded& ended, const RetryRule& rule, const Rank& rank, Instant now) {
  Ending ending{Outcome::kFailed, true,
                "rank " + std::to_string(ended.rank.value) + " on " + rank.node.value + ": " + ended.reason,
                now};
  if (!rank.failure.empty()) ending.reason += ": " + rank.failure;
  if (ended.is_node_fault && !is_planted(PlantedBug::kBlameJob)) {
    ending.outcome = Outcome::kNodeLost;
  } else if (ended.exit_code == kExitStopped) {
    ending.outcome = Outcome::kStopped;
  } else {
    ending.may_retry = may_retry_after(rule, ended);
  }
  return ending;
}

// One fault an attempt and node: its other ranks there end for the same cause.
void suspect(Step& step, Job& job, Node* node, const std::string& reason) {
  if (node == nullptr) return;
  if (job.live_attempt() == nullptr || !job.live_attempt()->ending ||
      job.live_attempt()->ending->outcome != Outcome::kNodeLost)
    note_fault(step, *node, reason);
  job.suspects.insert(node->name);
}

}  // namespace

void start_attempt(Step& step, const JobKey& key, const std::vector<NodeId>& nodes,
                   const StartReason& reason) {
  Job& job = *find_job(step.cluster, key);
  const Request& request = job.request.resources;
  PADDOCK_CHECK(nodes.size() >= request.fewest_nodes() && nodes.size() <= request.nodes &&
                    job.live_attempt() == nullptr,
                key);
  const Graph& graph = *find_graph(step.cluster, key.graph);
  Attempt attempt;
  attempt.number = static_cast<std::uint32_t>(job.attempts.size()) + 1;
  attempt.fence = Fence{step.cluster.next_fence++};
  attempt.started = step.at.wall;
  attempt.started_at = step.at.now;
  attempt.start = reason;
  for (const NodeId& name : nodes) {
    Node& node = step.cluster.nodes.at(name);
    if (attempt.ranks.empty()) {
      attempt.master_port = *node.free.ports.begin();
      node.free.ports.erase(attempt.master_port);
    }
    for (std::uint32_t local = 0; local < request.ranks_per_node; ++local) {
      Rank rank;
      rank.node = name;
      rank.generation = node.generation;
      rank.local_rank = local;
      take(node, request, rank);
      charge(step.cluster, graph.tenant, request, Charge::kTake, step.at.now);
      attempt.ranks.push_back(std::move(rank));
    }
    node.attempts.insert(attempt.fence);
    index_taken(step.cluster, node);
    step.effects.push_back(StartRanks{name, attempt.fence});
  }
  if (!job.launch.stage_key.empty()) {
    step.cluster.stage_owners[job.launch.stage_key] = key;
    park_others(step.cluster, job.launch.stage_key, key);
  }
  note_start(step.cluster, graph.tenant, graph.priority, step.at.now);
  if (job.attempts.empty()) job.started = step.at.wall;
  job.artifacts.clear();  // what an earlier attempt announced counts only if this one says it too
  step.cluster.attempts[attempt.fence] = AttemptKey{key, attempt.number};
  if (job.request.time_limit > Millis(0))
    step.cluster.time_limits.insert({attempt.started_at + job.request.time_limit, attempt.fence});
  job.attempts.push_back(std::move(attempt));
  index_attempt(step.cluster, graph, job, job.attempts.back());
  move_job(step, key, JobState::kRunning);
}

void end_rank(Step& step, const RankEnded& ended) {
  const Found found = find_attempt(step.cluster, ended.fence);
  if (found.attempt == nullptr || !found.attempt->is_live() ||
      ended.rank.value >= found.attempt->ranks.size())
    return;
  Attempt& attempt = *found.attempt;
  Rank& rank = attempt.ranks[ended.rank.value];
  if (rank.state == RankState::kEnded) return;
  close_rank(step, *found.job, attempt, rank);
  // How a rank ends after the gang was told to end is a consequence; only its worker's own fault still
  // explains something.
  const bool is_good = ended.exit_code == 0 && ended.signal == 0;
  if (!is_good && (ended.is_node_fault || !attempt.ending)) {
    Ending cause = cause_of(ended, found.job->request.retry, rank, step.at.now);
    Node* node = node_of(step.cluster, rank);
    if (ended.is_node_fault) suspect(step, *found.job, node, cause.reason);
    begin_ending(step, *found.job, attempt, std::move(cause));
  }
  if (is_over(step.cluster, attempt)) finish_attempt(step, found.key, *found.job, attempt);
}

void lose_ranks(Step& step, Node& node, const std::string& reason, bool is_fault) {
  const std::set<Fence> fences = std::exchange(node.attempts, {});
  if (is_fault && !fences.empty()) note_fault(step, node, reason);
  for (const Fence fence : fences) {
    const Found found = find_attempt(step.cluster, fence);
    PADDOCK_CHECK(found.attempt != nullptr && found.attempt->is_live(), fence);
    for (Rank& rank : found.attempt->ranks) {
      if (rank.node == node.name && rank.state != RankState::kEnded)
        close_rank(step, *found.job, *found.attempt, rank);
    }
    found.job->suspects.insert(node.name);
    begin_ending(step, *found.job, *found.attempt, Ending{Outcome::kNodeLost, true, reason, step.at.now});
    if (is_over(step.cluster, *found.attempt)) finish_attempt(step, found.key, *found.job, *found.attempt);
  }
}

void end_overdue(Step& step, Fence fence) {
  const Found found = find_attempt(step.cluster, fence);
  if (found.attempt == nullptr || !found.attempt->is_live() || found.attempt->ending ||
      found.job->request.time_limit <= Millis(0) ||
      step.at.now < found.attempt->started_at + found.job->request.time_limit)
    return;
  begin_ending(step, *found.job, *found.attempt,
               Ending{Outcome::kTimedOut, !found.job->request.retry->not_on.contains("time_limit"),
                      "took longer than its time limit of " + show_duration(found.job->request.time_limit),
                      step.at.now});
}

void preempt_attempt(Step& step, Fence fence, const std::string& reason) {
  const Found found = find_attempt(step.cluster, fence);
  if (found.attempt == nullptr || !found.attempt->is_live() || found.attempt->ending) return;
  begin_ending(step, *found.job, *found.attempt, Ending{Outcome::kPreempted, true, reason, step.at.now});
}

void cancel_attempt(Step& step, const JobKey& key, const std::string& reason) {
  Job& job = *find_job(step.cluster, key);
  if (Attempt* attempt = job.live_attempt()) {
    begin_ending(step, job, *attempt, Ending{Outcome::kCancelled, false, reason, step.at.now});
  }
}

}  // namespace paddock::scheduler
