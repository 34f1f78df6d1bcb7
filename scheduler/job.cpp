#include "scheduler/job.h"

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "base/check.h"
#include "scheduler/edges.h"
#include "scheduler/priority.h"
#include "scheduler/schedule.h"

namespace paddock::scheduler {
namespace {

std::string why_skipped(const Job& need, On on) {
  const std::string name = "needs " + need.request.name.value;
  if (on == On::kFailure && need.state == JobState::kSucceeded) return name + " to fail, which succeeded";
  const std::string wish = on == On::kFailure ? " to fail" : "";
  if (need.state == JobState::kSkipped) return name + wish + ", which was skipped";
  return name + wish + ", which did not " + (on == On::kFailure ? "fail" : "succeed") + " (" +
         std::string(name_of(need.state)) + ")";
}

// What the end of a job means for those that need it: they may go on, or never will, which has consequences
// of its own. A walk instead of recursion: a chain may be long.
void settle_dependants(Step& step, Graph& graph, const Job& ended) {
  std::vector<const Job*> unsettled{&ended};
  while (!unsettled.empty()) {
    const Job& need = *unsettled.back();
    unsettled.pop_back();
    for (const JobName& name : need.dependants) {
      Job& dependant = graph.jobs.at(name);
      if (dependant.state != JobState::kWaiting) continue;
      const JobKey key{graph.id, name};
      if (graph.cancelled) {
        move_job(step, key, JobState::kCancelled, *graph.cancelled);
        unsettled.push_back(&dependant);
        continue;
      }
      const On on = edge_of(dependant.request, need.request.name);
      if (state_of(on, need) == EdgeState::kHolds) {
        if (--dependant.needs_open == 0) move_job(step, key, JobState::kPreparing);
        continue;
      }
      dependant.has_failed_need = on == On::kSuccess && is_bad(need);
      move_job(step, key, JobState::kSkipped, why_skipped(need, on));
      unsettled.push_back(&dependant);
    }
  }
}

void settle_graph(Step& step, Graph& graph) {
  if (graph.state != GraphState::kActive || graph.jobs_open > 0) return;
  graph.state = graph.jobs_bad == 0 ? GraphState::kSucceeded
                : graph.cancelled   ? GraphState::kCancelled
                                    : GraphState::kFailed;
  graph.ended = step.at.wall;
  note_run_ended(step, graph);
}

}  // namespace

void move_job(Step& step, const JobKey& key, JobState state, std::string reason) {
  Graph* graph = find_graph(step.cluster, key.graph);
  Job* job = find_job(step.cluster, key);
  PADDOCK_CHECK(graph != nullptr && job != nullptr, key);
  move_job(step, *graph, *job, state, std::move(reason));
}

void move_job(Step& step, Graph& graph, Job& job, JobState state, std::string reason) {
  const JobKey key{graph.id, job.request.name};
  if (is_terminal(job.state)) return;
  if (job.state == JobState::kQueued) {
    step.cluster.queue.erase(queued_of(graph, job));
    forget_queued(step.cluster, graph, job);
    note_left(step.cluster, graph.tenant, graph.priority);
    if (state != JobState::kRunning) step.look_again();  // nodes may have been kept for it
  }
  if (job.state == JobState::kBackingOff) step.cluster.backoffs.erase({job.retry_at, key});

  --graph.in_state[static_cast<std::size_t>(job.state)];
  ++graph.in_state[static_cast<std::size_t>(state)];
  job.state = state;
  job.reason = std::move(reason);
  if (state == JobState::kQueued) {
    step.cluster.queue.insert(queued_of(graph, job));
    index_queued(step.cluster, graph, job);
    note_waiting(step.cluster, graph.tenant, graph.priority, step.at.now);
    step.cluster.is_placement_due = true;
  }
  if (state == JobState::kBackingOff) step.cluster.backoffs.insert({job.retry_at, key});
  if (state == JobState::kPreparing) step.effects.push_back(PrepareJob{key});
  if (is_terminal(state)) {
    job.ended = step.at.wall;
    --graph.jobs_open;
    graph.jobs_bad += is_bad(job) ? 1 : 0;
    const auto owner = step.cluster.stage_owners.find(job.launch.stage_key);
    if (owner != step.cluster.stage_owners.end() && owner->second == key) {
      step.cluster.stage_owners.erase(owner);
      unpark(step.cluster, job.launch.stage_key, step.at.now);
      step.cluster.is_placement_due = true;  // another job may have waited for this stage
    }
  }
  step.effects.push_back(ReportJob{key, state, job.reason});
}

void finish_job(Step& step, const JobKey& key, JobState state, std::string reason) {
  PADDOCK_CHECK(is_terminal(state), key);
  Job* job = find_job(step.cluster, key);
  if (job == nullptr || is_terminal(job->state)) return;
  move_job(step, key, state, std::move(reason));
  Graph& graph = *find_graph(step.cluster, key.graph);
  settle_dependants(step, graph, *job);
  settle_graph(step, graph);
}

void succeed_job(Step& step, const JobKey& key) {
  const Job* job = find_job(step.cluster, key);
  PADDOCK_CHECK(job != nullptr, key);
  const std::string stage = job->launch.stage_key;
  const Artifacts artifacts = job->artifacts;
  finish_job(step, key, JobState::kSucceeded, job->is_cached ? "taken from the cache" : "");
  if (stage.empty()) return;
  step.cluster.stages[stage] = artifacts;
  // Whoever waited for the same work has it now.
  const auto found = step.cluster.index.same_stage.find(stage);
  if (found == step.cluster.index.same_stage.end()) return;
  for (const Queued& queued : std::set(found->second)) {
    const JobKey waiting{queued.graph, queued.job};
    Job& other = *find_job(step.cluster, waiting);
    other.is_cached = true;
    other.artifacts = artifacts;
    finish_job(step, waiting, JobState::kSucceeded, "taken from the cache");
  }
}

}  // namespace paddock::scheduler
