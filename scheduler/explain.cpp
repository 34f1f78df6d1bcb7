#include "scheduler/explain.h"

#include <algorithm>
#include <vector>

#include "scheduler/edges.h"
#include "scheduler/placement.h"
#include "scheduler/sentence.h"

namespace paddock::scheduler {
namespace {

std::string names_of(const Nodes& nodes) {
  std::vector<std::string> names;
  for (const NodeId& node : nodes) names.push_back(node.value);
  return join(names, ", ");
}

// "a node with 2 free cores and 1 free GPU", "2 nodes with 4 free cores each"
std::string wish(const Request& request) {
  std::vector<std::string> parts;
  if (request.cpus_per_node() > 0) parts.push_back(count(request.cpus_per_node(), "free core"));
  if (request.gpus_per_node() > 0) parts.push_back(count(request.gpus_per_node(), "free GPU"));
  if (request.memory_bytes_per_node() > 0)
    parts.push_back(mebibytes(request.memory_bytes_per_node()) + " of free memory");
  if (parts.empty()) parts.push_back("a free port");
  return request.nodes == 1 ? "a node with " + join(parts, " and ")
                            : std::to_string(request.nodes) + " nodes with " + join(parts, " and ") + " each";
}

// What the node lacks first: "a has 1 of 2 free", in the unit of that lack.
std::string lack(const Node& node, const Request& request) {
  const std::string& name = node.name.value;
  if (!node.is_ready) return name + " is lost";
  if (request.cpus_per_node() > node.free.cpus) {
    return name + " has " + std::to_string(node.free.cpus) + " of " + std::to_string(node.offer.cpus) +
           " free";
  }
  if (request.gpus_per_node() > node.free.gpus.size()) {
    return name + " has " + std::to_string(node.free.gpus.size()) + " of " +
           count(node.offer.gpus.size(), "GPU") + " free";
  }
  if (request.memory_bytes_per_node() > node.free.memory_bytes) {
    return name + " has " + mebibytes(node.free.memory_bytes) + " of " + mebibytes(node.offer.memory_bytes) +
           " free";
  }
  if (node.free.ports.empty()) return name + " has no free port";
  return name + " would do";
}

std::string why_not_placed(const Cluster& cluster, const Request& request) {
  if (cluster.nodes.empty()) return "waits for " + wish(request) + ": no node has joined";
  std::vector<std::string> lacks;
  for (const auto& [name, node] : cluster.nodes) lacks.push_back(lack(node, request));
  std::string text = "waits for " + wish(request) + ": " + join(lacks, ", ");
  if (!find_nodes_when_empty(cluster, request, {})) text += "; it would not fit even if nothing else ran";
  return text;
}

// Walks the queue as place_queued() does, so that it finds who holds nodes back for itself.
std::string explain_queued(const Cluster& cluster, const JobKey& key, const Job& job) {
  if (const auto other = same_work(cluster, key, job))
    return "waits for " + shown(*other) + ", which does the same work";
  const Request& request = job.request.resources;
  Nodes reserved;
  std::string holders;
  for (const Queued& queued : cluster.queue) {
    const JobKey before{queued.graph, queued.job};
    if (before == key) break;
    const Job& other = *find_job(cluster, before);
    if (same_work(cluster, before, other)) continue;
    if (const auto later = find_nodes_when_empty(cluster, other.request.resources, reserved)) {
      reserved.insert(later->begin(), later->end());
      holders += (holders.empty() ? "" : ", ") + shown(before);
    }
  }
  if (find_nodes(cluster, request, {}) && !holders.empty()) {
    return "waits its turn behind " + holders + ", for which " + names_of(reserved) +
           (reserved.size() == 1 ? " is" : " are") + " being kept";
  }
  return why_not_placed(cluster, request);
}

std::string explain_waiting(const Cluster& cluster, const JobKey& key, const Job& job) {
  std::vector<std::string> unmet;
  for (const JobName& need : job.request.needs) {
    const Job* needed = find_job(cluster, JobKey{key.graph, need});
    const On on = edge_of(job.request, need);
    if (needed == nullptr || state_of(on, *needed) != EdgeState::kOpen) continue;
    const std::string wish = on == On::kSuccess ? "" : on == On::kFailure ? " to fail" : " to end";
    unmet.push_back(need.value + wish + " (" + std::string(name_of(needed->state)) + ")");
  }
  return "waits for " + join(unmet, ", ");
}

std::string explain_running(const Attempt& attempt) {
  if (attempt.ending) return "is being ended: " + attempt.ending->reason;
  Nodes nodes;
  std::size_t started = 0;
  for (const Rank& rank : attempt.ranks) {
    nodes.insert(rank.node);
    started += rank.state == RankState::kAssigned ? 0 : 1;
  }
  if (started == attempt.ranks.size()) return "runs on " + names_of(nodes);
  return "starts on " + names_of(nodes) + ": " + std::to_string(started) + " of " +
         count(attempt.ranks.size(), "rank") + " started";
}

}  // namespace

std::string explain(const Cluster& cluster, const JobKey& key, Instant now) {
  const Job* job = find_job(cluster, key);
  if (job == nullptr) return "";
  switch (job->state) {
    case JobState::kWaiting:
      return explain_waiting(cluster, key, *job);
    case JobState::kPreparing:
      return "its options are being resolved";
    case JobState::kQueued:
      return explain_queued(cluster, key, *job);
    case JobState::kRunning:
      return explain_running(job->attempts.back());
    case JobState::kBackingOff: {
      const std::int64_t left_ms = std::max<std::int64_t>(0, (job->retry_at - now).count());
      return job->reason + "; tries again in " + std::to_string((left_ms + 999) / 1'000) + " s";
    }
    case JobState::kSucceeded:
    case JobState::kFailed:
    case JobState::kCancelled:
    case JobState::kSkipped:
      return job->reason;
  }
  return "";
}

std::string explain_request(const Cluster& cluster, const Request& request) {
  if (const auto nodes = find_nodes(cluster, request, {})) return "would run now on " + names_of(*nodes);
  return why_not_placed(cluster, request);
}

}  // namespace paddock::scheduler
