#include "scheduler/explain.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "scheduler/backfill.h"
#include "scheduler/cordon.h"
#include "scheduler/edges.h"
#include "scheduler/placement.h"
#include "scheduler/quota.h"
#include "scheduler/reservation.h"
#include "scheduler/sentence.h"

namespace paddock::scheduler {
namespace {

std::string names_of(const Nodes& nodes) {
  std::vector<std::string> names;
  for (const NodeId& node : nodes) names.push_back(node.value);
  return join(names, ", ");
}

std::string gpus_of(const Request& request) {
  std::string text = count(request.gpus_per_node(), "free GPU");
  if (!request.gpu_model.empty()) text += " of kind " + request.gpu_model;
  if (request.gpu_memory_bytes > 0) text += " of at least " + mebibytes(request.gpu_memory_bytes);
  return text;
}

std::string labels_of(const Labels& labels) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : labels) parts.push_back(value.empty() ? name : name + "=" + value);
  return join(parts, ", ");
}

// "a node with 2 free cores and 1 free GPU", "2 nodes with 4 free cores each"
std::string wish(const Request& request) {
  std::vector<std::string> parts;
  if (request.cpus_per_node() > 0) parts.push_back(count(request.cpus_per_node(), "free core"));
  if (request.gpus_per_node() > 0) parts.push_back(gpus_of(request));
  if (request.memory_bytes_per_node() > 0)
    parts.push_back(mebibytes(request.memory_bytes_per_node()) + " of free memory");
  if (parts.empty()) parts.push_back("a free port");
  if (!request.labels.empty()) parts.push_back("label " + labels_of(request.labels));
  if (!request.avoid.empty()) parts.push_back("no label " + labels_of(request.avoid));
  return request.fewest_nodes() == 1
             ? "a node with " + join(parts, " and ")
             : std::to_string(request.fewest_nodes()) + " nodes with " + join(parts, " and ") + " each";
}

// ", 2 faulty", or nothing.
std::string faulty_text(const Offer& offer) {
  const auto faulty = std::ranges::count_if(offer.gpus, [](const Gpu& gpu) { return !gpu.fault.empty(); });
  return faulty == 0 ? "" : ", " + std::to_string(faulty) + " faulty";
}

// What the node lacks first: "a has 1 of 2 free", in the unit of that lack.
std::string lack(const Cluster& cluster, const Node& node, const Wanted& wanted) {
  const Request& request = wanted.request;
  const std::string& name = node.name.value;
  if (!node.is_ready) return name + " is lost";
  if (node.cordon) return why_cordoned(node);
  if (!has_labels(request, node.offer)) return name + " has other labels";
  const Room all = room_when_empty(request, node.offer);
  const Room now = room_now(request, node.offer, node.free);
  if (request.cpus_per_node() > now.cpus)
    return name + " has " + std::to_string(now.cpus) + " of " + std::to_string(all.cpus) + " free";
  if (request.gpus_per_node() > now.gpus) {
    return name + " has " + std::to_string(now.gpus) + " of " + count(all.gpus, "GPU") +
           (request.gpu_model.empty() && request.gpu_memory_bytes == 0 ? "" : " of that kind") + " free" +
           faulty_text(node.offer);
  }
  if (request.memory_bytes_per_node() > now.memory_bytes)
    return name + " has " + mebibytes(now.memory_bytes) + " of " + mebibytes(all.memory_bytes) + " free";
  if (now.ports == 0) return name + " has no free port";
  if (!may_take(cluster, node, wanted)) return name + " runs another job that is to be kept apart";
  return name + " would do";
}

// On the nodes that are there, also those that take no work for now.
bool could_ever_fit(const Cluster& cluster, const Request& request) {
  std::uint32_t nodes = 0;
  for (const auto& [name, node] : cluster.nodes) {
    if (node.is_ready && has_labels(request, node.offer) &&
        room_when_empty(request, node.offer).holds(request))
      ++nodes;
  }
  return nodes >= request.fewest_nodes();
}

std::string why_not_placed(const Cluster& cluster, const Wanted& wanted) {
  if (cluster.nodes.empty()) return "waits for " + wish(wanted.request) + ": no node has joined";
  std::vector<std::string> lacks;
  for (const auto& [name, node] : cluster.nodes)
    lacks.push_back(lacks.size() < kNamedMax ? lack(cluster, node, wanted) : "");  // the rest is only counted
  std::string text = "waits for " + wish(wanted.request) + ": " + join(lacks, ", ");
  if (!could_ever_fit(cluster, wanted.request)) text += "; it would not fit even if nothing else ran";
  return text;
}

std::string minutes_until(Instant from, Instant now) {
  return show_duration(std::chrono::ceil<std::chrono::minutes>(std::max(from - now, Millis(0))));
}

std::string explain_held(const Cluster& cluster, const Hold& hold, const Wanted& wanted, Instant now) {
  std::vector<std::string> going;
  for (const Fence fence : hold.victims) {
    const FoundConst found = find_attempt(cluster, fence);
    if (found.attempt != nullptr && found.attempt->is_live()) going.push_back(shown(found.key));
  }
  if (!going.empty())
    return "waits for " + join(going, ", ") + " of lower priority to make room on " + names_of(hold.nodes);
  std::string text = why_not_placed(cluster, wanted);
  if (hold.from != kNever)
    text += "; " + names_of(hold.nodes) + " will do in at most " + minutes_until(hold.from, now);
  return text;
}

// It would run now, were it not for nodes that are reserved; "": that is not the reason.
std::string explain_reserved(const Cluster& cluster, const std::string& tenant, const Job& job,
                             const Wanted& wanted, WallTime wall) {
  const Nodes reserved = reserved_for_others(cluster, tenant, job.request, wall);
  if (reserved.empty() || find_nodes(cluster, wanted, reserved)) return "";
  const auto nodes = find_nodes(cluster, wanted, Closed{});
  if (!nodes) return "";
  Nodes in_the_way;
  for (const NodeId& node : *nodes)
    if (reserved.contains(node)) in_the_way.insert(node);
  JobRequest brief = job.request;
  brief.time_limit = Millis(1);
  brief.grace = Millis(0);
  const bool could_be_brief =
      find_nodes(cluster, wanted, reserved_for_others(cluster, tenant, brief, wall)).has_value();
  return "waits because " + reservations_text(cluster, in_the_way) +
         (could_be_brief ? "; a time_limit that ends before that would let it run" : "");
}

std::string explain_queued(const Cluster& cluster, const JobKey& key, const Job& job, Moment at) {
  if (const auto other = same_work(cluster, key, job))
    return "waits for " + shown(*other) + ", which does the same work";
  const Request& request = job.request.resources;
  const Wanted wanted{request, request.nodes, key.graph};
  const std::string& tenant = cluster.graphs.at(key.graph).tenant;
  if (const std::string obstacle = quota_obstacle(cluster, tenant, request); !obstacle.empty())
    return "waits because " + obstacle;
  if (const std::string text = explain_reserved(cluster, tenant, job, wanted, at.wall); !text.empty())
    return text;
  if (const Hold* hold = find_hold(cluster, key)) return explain_held(cluster, *hold, wanted, at.now);
  if (!cluster.holds.empty() && find_nodes(cluster, wanted, Closed{})) {
    std::vector<std::string> holders;
    Nodes kept;
    for (const Hold& hold : cluster.holds) {
      holders.push_back(shown(hold.job));
      kept.insert(hold.nodes.begin(), hold.nodes.end());
    }
    return "waits its turn behind " + join(holders, ", ") + ", for which " + names_of(kept) +
           (kept.size() == 1 ? " is" : " are") + " being kept";
  }
  if (cluster.rest && find_nodes(cluster, wanted, Closed{}))
    return "would fit, and is tried in a moment, as the rest of a long queue is looked through";
  return why_not_placed(cluster, wanted);
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

std::string explain(const Cluster& cluster, const JobKey& key, Moment at) {
  const Job* job = find_job(cluster, key);
  if (job == nullptr) return "";
  switch (job->state) {
    case JobState::kWaiting:
      return explain_waiting(cluster, key, *job);
    case JobState::kPreparing:
      return "its options are being resolved";
    case JobState::kQueued:
      return explain_queued(cluster, key, *job, at);
    case JobState::kRunning:
      return explain_running(job->attempts.back());
    case JobState::kBackingOff: {
      const std::int64_t left_ms = std::max<std::int64_t>(0, (job->retry_at - at.now).count());
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
  const Wanted wanted{request, request.nodes};
  const auto nodes = find_nodes(cluster, wanted, Closed{});
  return nodes ? "would run now on " + names_of({nodes->begin(), nodes->end()})
               : why_not_placed(cluster, wanted);
}

}  // namespace paddock::scheduler
