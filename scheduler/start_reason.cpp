#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "scheduler/explain.h"
#include "scheduler/sentence.h"

namespace paddock::scheduler {
namespace {

// What put it before those that waited besides: all, or of them those whose turn had not come before.
std::string why_first(const Graph& graph, const StartReason& reason) {
  const std::string others = reason.has_passed_others ? "of the others " : "of all that waited ";
  const std::string of_its = reason.has_passed_others ? "of the others of its " : "of its ";
  switch (reason.lead) {
    case Lead::kUnknown:
      return "";
    case Lead::kAlone:
      return reason.has_passed_others ? "" : "nothing else was waiting";
    case Lead::kPriority:
      return others + "it had the highest priority, " + std::to_string(reason.priority);
    case Lead::kRisen:
      return "its priority had risen from " + std::to_string(graph.priority) + " to " +
             std::to_string(reason.priority) + " while nothing like it started";
    case Lead::kFairShare:
      return of_its + "priority, tenant " + graph.tenant + " had had least of the cluster";
    case Lead::kOrder:
      return of_its + "tenant and priority it was submitted first";
    case Lead::kOrderOfTenants:
      return of_its + "priority it was submitted first, and no tenant had had less";
    case Lead::kFoundInRest:
      return "it was found to fit as the rest of a long queue was looked through";
  }
  return "";
}

std::string why_now(const Graph& graph, const StartReason& reason) {
  const std::string first = why_first(graph, reason);
  if (!reason.has_passed_others) return first;
  return "those before it that still waited could not start" + (first.empty() ? "" : ", and " + first);
}

constexpr std::size_t kJobsLookedThroughMax = 1'000;

// The job in front of it whose nodes are kept, if it is still known.
std::string ahead_text(const Cluster& cluster, const Job& job, const StartReason& reason) {
  if (reason.ahead_graph == GraphId()) return "";
  std::string name = "a job of graph " + std::to_string(reason.ahead_graph.value);
  const Graph* graph = find_graph(cluster, reason.ahead_graph);
  if (graph != nullptr && graph->jobs.size() <= kJobsLookedThroughMax) {
    const auto found = std::ranges::find_if(
        graph->jobs, [&](const auto& entry) { return entry.second.index == reason.ahead_index; });
    if (found != graph->jobs.end()) name = shown({reason.ahead_graph, found->first});
  }
  if (reason.is_on_kept_nodes)
    return "it went before " + name + " on nodes that are kept for that one, since its time limit of " +
           show_duration(job.request.time_limit) + " ends it in time";
  return "it went before " + name + ", for which other nodes are kept";
}

std::string why_there(const Cluster& cluster, const Job& job, const Attempt& attempt) {
  std::set<NodeId> nodes;
  std::set<std::string> racks;
  for (const Rank& rank : attempt.ranks) {
    if (!nodes.insert(rank.node).second) continue;
    const auto node = cluster.nodes.find(rank.node);
    if (node == cluster.nodes.end()) continue;
    const auto rack = node->second.offer.labels.find("rack");
    racks.insert(rack == node->second.offer.labels.end() ? "" : rack->second);
  }
  std::string text;
  if (attempt.start.were_kept)
    text = count(nodes.size(), "node") + " that had been kept for it";
  else if (nodes.size() == 1)
    text = "the one with least to spare of the nodes that fit";
  else if (racks.size() == 1 && !racks.begin()->empty())
    text = std::to_string(nodes.size()) + " nodes of one rack, " + *racks.begin();
  else if (racks.size() > 1)
    text = std::to_string(nodes.size()) + " nodes of " + std::to_string(racks.size()) +
           " racks, no fewer had room";
  else
    text = std::to_string(nodes.size()) + " nodes with least to spare";
  if (nodes.size() < job.request.resources->nodes)
    text += ", for a start fewer than the " + std::to_string(job.request.resources->nodes) +
            " that it would take";
  if (attempt.start.is_elsewhere) text += ", and not where an attempt of it was lost";
  return text;
}

}  // namespace

std::string why_started(const Cluster& cluster, const JobKey& key, const Attempt& attempt) {
  const Graph* graph = find_graph(cluster, key.graph);
  const Job* job = find_job(cluster, key);
  if (job == nullptr || attempt.start.lead == Lead::kUnknown) return "";
  std::vector<std::string> parts;
  const std::string ahead = ahead_text(cluster, *job, attempt.start);
  if (ahead.empty() || attempt.start.lead != Lead::kAlone) parts.push_back(why_now(*graph, attempt.start));
  if (!ahead.empty()) parts.push_back(ahead);
  return "it started when it did because " + join(parts, "; ") + "; it got " +
         why_there(cluster, *job, attempt);
}

}  // namespace paddock::scheduler
