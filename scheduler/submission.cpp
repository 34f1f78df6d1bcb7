#include "scheduler/submission.h"

#include <set>
#include <vector>

#include "scheduler/attempt.h"
#include "scheduler/job.h"

namespace paddock::scheduler {
namespace {

// A graph that takes up another again does not run what succeeded there.
void take_as_done(Step& step, const JobKey& key, const Artifacts& artifacts, GraphId from) {
  Job* job = find_job(step.cluster, key);
  if (job == nullptr) return;
  job->is_cached = true;
  job->artifacts = artifacts;
  finish_job(step, key, JobState::kSucceeded, "done by graph " + std::to_string(from.value));
}

}  // namespace

void submit_graph(Step& step, const GraphSubmitted& submitted, const RunOf& run) {
  Cluster& cluster = step.cluster;
  if (cluster.tokens.contains(submitted.token) || !check_graph(submitted.name, submitted.jobs)) return;
  const GraphId id{cluster.next_graph++};
  cluster.tokens[submitted.token] = id;
  Graph& graph = cluster.graphs[id];
  graph.id = id;
  graph.name = submitted.name;
  graph.tenant = submitted.tenant;
  graph.priority = submitted.priority;
  graph.retry_of = submitted.retry_of;
  graph.schedule = run.schedule;
  graph.scheduled_for = run.time;
  graph.submitted = step.at.wall;
  graph.jobs_open = submitted.jobs.size();
  std::vector<Job*> jobs;  // as submitted
  for (const JobRequest& request : submitted.jobs) {
    Job& job = graph.jobs[request.name];
    job.request = request;
    job.index = static_cast<std::uint32_t>(jobs.size());
    jobs.push_back(&job);
  }
  share_alike(graph);
  graph.in_state = count_states(graph);
  for (Job* const job : jobs) {
    const auto& needs = job->request.needs;
    for (const JobName& need : std::set<JobName>(needs.begin(), needs.end())) {
      graph.jobs.at(need).dependants.push_back(job->request.name);
      ++job->needs_open;
    }
  }
  for (const auto& [name, artifacts] : submitted.done)
    take_as_done(step, JobKey{id, name}, artifacts, submitted.retry_of);
  for (Job* const job : jobs) {
    if (job->state == JobState::kWaiting && job->needs_open == 0)
      move_job(step, graph, *job, JobState::kPreparing);
  }
}

void cancel_graph(Step& step, GraphId id, const std::string& reason) {
  Graph* graph = find_graph(step.cluster, id);
  if (graph == nullptr || graph->state != GraphState::kActive || graph->cancelled) return;
  graph->cancelled = reason;
  for (auto& [name, job] : graph->jobs) {
    if (job.state == JobState::kRunning) {
      cancel_attempt(step, JobKey{id, name}, reason);
    } else {
      finish_job(step, JobKey{id, name}, JobState::kCancelled, reason);
    }
  }
}

}  // namespace paddock::scheduler
