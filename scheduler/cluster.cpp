#include "scheduler/cluster.h"

namespace paddock::scheduler {

void Node::note_over(std::uint64_t ended) {
  past_incarnations.push_back(ended);
  if (past_incarnations.size() > kPastIncarnationsMax) past_incarnations.erase(past_incarnations.begin());
}

Graph* find_graph(Cluster& cluster, GraphId id) {
  const auto found = cluster.graphs.find(id);
  return found == cluster.graphs.end() ? nullptr : &found->second;
}

const Graph* find_graph(const Cluster& cluster, GraphId id) {
  return find_graph(const_cast<Cluster&>(cluster), id);
}

Job* find_job(Cluster& cluster, const JobKey& key) {
  Graph* graph = find_graph(cluster, key.graph);
  if (graph == nullptr) return nullptr;
  const auto found = graph->jobs.find(key.job);
  return found == graph->jobs.end() ? nullptr : &found->second;
}

const Job* find_job(const Cluster& cluster, const JobKey& key) {
  return find_job(const_cast<Cluster&>(cluster), key);
}

Found find_attempt(Cluster& cluster, Fence fence) {
  const auto known = cluster.attempts.find(fence);
  if (known == cluster.attempts.end()) return {};
  Job* job = find_job(cluster, known->second.job);
  if (job == nullptr || known->second.number < 1 || known->second.number > job->attempts.size()) return {};
  return {known->second.job, job, &job->attempts[known->second.number - 1]};
}

FoundConst find_attempt(const Cluster& cluster, Fence fence) {
  const Found found = find_attempt(const_cast<Cluster&>(cluster), fence);
  return {found.key, found.job, found.attempt};
}

}  // namespace paddock::scheduler
