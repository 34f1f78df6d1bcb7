#include "coordinator/answers.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "scheduler/cordon.h"
#include "scheduler/explain.h"

namespace paddock::coordinator {
namespace {

using scheduler::Attempt;
using scheduler::Cluster;
using scheduler::Graph;
using scheduler::Job;
using scheduler::Rank;

std::string text(std::string_view view) {
  return std::string(view);
}

template <typename Texts>
void write_nodes_of(Texts nodes, const Attempt& attempt) {
  for (unsigned i = 0; i < nodes.size(); ++i) nodes.set(i, attempt.ranks[i].node.value);
}

void write_attempt(wire::Status::Attempt::Builder to, const Cluster& cluster, const JobKey& key,
                   const Attempt& attempt) {
  const auto ranks = static_cast<unsigned>(attempt.ranks.size());
  to.setNumber(attempt.number);
  to.setFence(attempt.fence.value);
  to.setOutcome(text(scheduler::name_of(attempt.outcome)));
  to.setReason(attempt.ending ? attempt.ending->reason : attempt.reason);
  write_nodes_of(to.initNodes(ranks), attempt);
  auto pids = to.initPids(ranks);
  for (unsigned i = 0; i < ranks; ++i) pids.set(i, attempt.ranks[i].pid);
  to.setStartedUnixMs(attempt.started.unix_ms);
  to.setEndedUnixMs(attempt.ended.unix_ms);
  to.setStartReason(scheduler::why_started(cluster, key, attempt));
}

// To say of every job what it waits for looks at all nodes each time: in a large graph or cluster one has to ask for it.
std::string reason_of(const Cluster& cluster, const JobKey& key, const Job& job, scheduler::Moment at) {
  const std::uint64_t jobs = cluster.graphs.at(key.graph).jobs.size();
  const bool is_one_of_many = jobs > kJobsPerPageMax || jobs * cluster.nodes.size() > kNodesExplainedMax;
  if (is_one_of_many && job.state == scheduler::JobState::kQueued)
    return "waits for its turn or for room: paddock why " + run_name(key) + " says more";
  return scheduler::explain(cluster, key, at);
}

// nullptr: none has come.
const JobProgress* progress_of(const Progress& progress, const JobKey& key) {
  const auto last = progress.find(key);
  return last == progress.end() ? nullptr : &last->second;
}

std::uint64_t bytes_of(const Attempt& attempt) {
  std::uint64_t bytes = 500 + attempt.reason.size();
  for (const Rank& rank : attempt.ranks) bytes += rank.node.value.size() + 24;
  return bytes;
}

// The first of the newest attempts that fit.
std::size_t first_shown(const Job& job) {
  std::uint64_t bytes = 0;
  std::size_t first = job.attempts.size();
  while (first > 0 && (bytes += bytes_of(job.attempts[first - 1])) <= kAttemptsBytesMax) --first;
  return job.attempts.empty() ? 0 : std::min(first, job.attempts.size() - 1);
}

std::uint64_t bytes_of(const Job& job, const JobProgress* progress) {
  std::uint64_t bytes = 500 + job.request.name.value.size() + job.reason.size();
  if (progress != nullptr) bytes += progress->bytes();
  for (std::size_t i = first_shown(job); i < job.attempts.size(); ++i) bytes += bytes_of(job.attempts[i]);
  if (!job.attempts.empty()) bytes += bytes_of(job.attempts.back());
  for (const auto& [name, artifact] : job.artifacts)
    bytes += 48 + name.size() + artifact.path.size() + artifact.hash.size();
  return bytes;
}

void write_job(wire::Status::Job::Builder to, const Cluster& cluster, const JobKey& key, const Job& job,
               const Progress& progress, scheduler::Moment at) {
  to.setName(key.job.value);
  to.setKind(job.request.kind);
  to.setState(text(scheduler::name_of(job.state)));
  to.setReason(reason_of(cluster, key, job, at));
  to.setCached(job.is_cached);
  to.setStartedUnixMs(job.started.unix_ms);
  to.setEndedUnixMs(job.ended.unix_ms);
  const JobProgress* const last = progress_of(progress, key);
  const bool is_of_newest =
      last != nullptr && !job.attempts.empty() && last->fence() == job.attempts.back().fence;
  if (is_of_newest) to.setProgress(last->text(job.attempts.back().is_live()));
  if (!job.attempts.empty()) {
    const Attempt& newest = job.attempts.back();
    to.setAttempt(newest.number);
    to.setFence(newest.fence.value);
    write_nodes_of(to.initNodes(static_cast<unsigned>(newest.ranks.size())), newest);
  }
  auto artifacts = to.initArtifacts(static_cast<unsigned>(job.artifacts.size()));
  unsigned index = 0;
  for (const auto& [name, artifact] : job.artifacts) {
    artifacts[index].setName(name);
    artifacts[index].setPath(artifact.path);
    artifacts[index++].setHash(artifact.hash);
  }
  const std::size_t first = first_shown(job);
  auto attempts = to.initAttempts(static_cast<unsigned>(job.attempts.size() - first));
  for (unsigned i = 0; i < attempts.size(); ++i)
    write_attempt(attempts[i], cluster, key, job.attempts[first + i]);
}

// The jobs of the page, and behind which there are more.
struct Selected {
  std::vector<const Job*> jobs;
  std::string next;
};

Selected whole(const Graph& graph) {
  Selected selected{std::vector<const Job*>(graph.jobs.size()), ""};
  for (const auto& [name, job] : graph.jobs) selected.jobs[job.index] = &job;
  return selected;
}

Selected select(const Graph& graph, const JobsPage& page, const Progress& progress) {
  const std::uint32_t limit = page.limit == 0 ? kJobsPerPageMax : std::min(page.limit, kJobsPerPageMax);
  Selected selected;
  if (!page.job.empty()) {
    const auto found = graph.jobs.find(JobName{page.job});
    if (found != graph.jobs.end()) selected.jobs.push_back(&found->second);
    return selected;
  }
  std::uint64_t bytes = 0;
  std::uint32_t scanned = 0;
  const std::string* last = nullptr;
  for (auto job = graph.jobs.upper_bound(JobName{page.after}); job != graph.jobs.end(); ++job) {
    const bool is_wanted = page.state.empty() || scheduler::name_of(job->second.state) == page.state;
    const std::uint64_t more =
        is_wanted ? bytes_of(job->second, progress_of(progress, {graph.id, job->first})) : 0;
    const bool is_full =
        selected.jobs.size() >= limit || (!selected.jobs.empty() && bytes + more > kPageBytesMax);
    if (scanned >= kJobsScannedMax || (is_wanted && is_full)) {
      selected.next = *last;
      break;
    }
    ++scanned;
    last = &job->first.value;
    bytes += more;
    if (is_wanted) selected.jobs.push_back(&job->second);
  }
  const bool is_all = selected.jobs.size() == graph.jobs.size();
  return is_all ? whole(graph) : selected;
}

const char* state_of(const scheduler::Node& node) {
  if (!node.is_ready) return "lost";
  if (!node.cordon) return "ready";
  if (!node.cordon->is_drain) return "cordoned";
  return node.attempts.empty() ? "drained" : "draining";
}

void write_graph(wire::Status::Graph::Builder to, const Graph& graph) {
  to.setId(graph.id.value);
  to.setName(graph.name);
  to.setTenant(graph.tenant);
  to.setState(text(scheduler::name_of(graph.state)));
  to.setSubmittedUnixMs(graph.submitted.unix_ms);
  to.setEndedUnixMs(graph.ended.unix_ms);
  to.setSchedule(graph.schedule);
}

}  // namespace

std::string runs_of(GraphId graph) {
  return std::to_string(graph.value) + "/";
}

std::string run_name(const JobKey& job) {
  return runs_of(job.graph) + job.job.value;
}

std::string shown(const scheduler::AttemptKey& attempt) {
  return run_name(attempt.job) + "#" + std::to_string(attempt.number);
}

void write_graphs(wire::Status::Builder status, const Cluster& cluster, const std::vector<Graph>& archived,
                  const std::function<bool(const Graph&)>& is_shown) {
  std::vector<const Graph*> all;
  for (const Graph& graph : archived) {
    if (is_shown(graph)) all.push_back(&graph);
  }
  for (const auto& [id, graph] : cluster.graphs) {
    if (is_shown(graph)) all.push_back(&graph);
  }
  std::ranges::sort(all, {}, [](const Graph* graph) { return graph->id; });
  auto graphs = status.initGraphs(static_cast<unsigned>(all.size()));
  for (unsigned i = 0; i < graphs.size(); ++i) write_graph(graphs[i], *all[i]);
}

void write_status(wire::Status::Builder status, const Cluster& cluster, GraphId id, const JobsPage& page,
                  const Progress& progress, scheduler::Moment at) {
  const Graph* graph = scheduler::find_graph(cluster, id);
  PADDOCK_REQUIRE(graph != nullptr, id);
  auto to = status.initGraphs(1)[0];
  write_graph(to, *graph);
  const auto shown = static_cast<unsigned>(
      std::ranges::count_if(graph->in_state, [](std::uint32_t jobs) { return jobs > 0; }));
  auto counts = to.initCounts(shown);
  unsigned index = 0;
  for (std::size_t state = 0; state < graph->in_state.size(); ++state) {
    if (graph->in_state[state] == 0) continue;
    counts[index].setState(text(scheduler::name_of(static_cast<scheduler::JobState>(state))));
    counts[index++].setJobs(graph->in_state[state]);
  }
  const Selected selected = select(*graph, page, progress);
  to.setNext(selected.next);
  auto jobs = to.initJobs(static_cast<unsigned>(selected.jobs.size()));
  for (unsigned i = 0; i < jobs.size(); ++i) {
    const Job& job = *selected.jobs[i];
    write_job(jobs[i], cluster, JobKey{id, job.request.name}, job, progress, at);
  }
}

void write_nodes(wire::Message::Builder message, const Cluster& cluster, Instant now, Millis lease) {
  auto nodes = message.initNodes(static_cast<unsigned>(cluster.nodes.size()));
  unsigned index = 0;
  for (const auto& [name, node] : cluster.nodes) {
    auto to = nodes[index++];
    to.setName(name.value);
    to.setAddress(node.address);
    to.setState(state_of(node));
    to.setReason(scheduler::why_cordoned(node));
    auto labels = to.initLabels(static_cast<unsigned>(node.offer.labels.size()));
    unsigned label = 0;
    for (const auto& [label_name, value] : node.offer.labels) {
      labels[label].setName(label_name);
      labels[label++].setValue(value);
    }
    to.setCpus(node.offer.cpus);
    to.setCpusFree(static_cast<std::uint32_t>(node.free.cpus));
    to.setMemoryBytes(node.offer.memory_bytes);
    to.setMemoryBytesFree(node.free.memory_bytes);
    auto gpus = to.initGpus(static_cast<unsigned>(node.offer.gpus.size()));
    for (unsigned i = 0; i < gpus.size(); ++i) {
      gpus[i].setUuid(node.offer.gpus[i].uuid);
      gpus[i].setModel(node.offer.gpus[i].model);
      gpus[i].setMemoryBytes(node.offer.gpus[i].memory_bytes);
      gpus[i].setFault(node.offer.gpus[i].fault);
    }
    auto attempts = to.initAttempts(static_cast<unsigned>(node.attempts.size()));
    unsigned attempt = 0;
    for (const Fence fence : node.attempts) attempts.set(attempt++, shown(cluster.attempts.at(fence)));
    to.setLastSeenMsAgo(std::max<std::int64_t>(0, (now - (node.lease_until - lease)).count()));
  }
}

bool write_start(wire::Message::Builder message, const Cluster& cluster, const NodeId& node, Fence fence) {
  const auto found = scheduler::find_attempt(cluster, fence);
  if (found.attempt == nullptr || !found.attempt->is_live() || found.attempt->ending) return false;
  const Attempt& attempt = *found.attempt;
  const Job& job = *found.job;
  std::vector<std::uint32_t> here;
  for (std::uint32_t i = 0; i < attempt.ranks.size(); ++i) {
    if (attempt.ranks[i].node == node && attempt.ranks[i].state != scheduler::RankState::kEnded)
      here.push_back(i);
  }
  if (here.empty()) return false;
  auto start = message.initStartRanks();
  start.setGraph(found.key.graph.value);
  start.setJob(found.key.job.value);
  start.setAttempt(attempt.number);
  start.setFence(fence.value);
  start.setKind(job.request.kind);
  auto command = start.initCommand(static_cast<unsigned>(job.launch.command.size()));
  for (unsigned i = 0; i < command.size(); ++i) command.set(i, job.launch.command[i]);
  start.setSpec(job.launch.options);
  start.setDirectory(job.launch.directory);
  start.setWorldSize(static_cast<std::uint32_t>(attempt.ranks.size()));
  start.setMasterAddress(cluster.nodes.at(attempt.ranks.front().node).address);
  start.setMasterPort(attempt.master_port);
  start.setTenant(scheduler::find_graph(cluster, found.key.graph)->tenant);
  start.setGraceMs(static_cast<std::uint32_t>(job.request.grace.count()));
  start.setMemoryBytesPerRank(job.request.resources->memory_bytes_per_rank);
  auto ranks = start.initRanks(static_cast<unsigned>(here.size()));
  for (unsigned i = 0; i < ranks.size(); ++i) {
    const Rank& rank = attempt.ranks[here[i]];
    ranks[i].setRank(here[i]);
    ranks[i].setLocalRank(rank.local_rank);
    ranks[i].setCpus(job.request.resources->cpus_per_rank);
    auto gpus = ranks[i].initGpus(static_cast<unsigned>(rank.gpus.size()));
    for (unsigned gpu = 0; gpu < gpus.size(); ++gpu) gpus.set(gpu, rank.gpus[gpu]);
  }
  auto environment = start.initEnvironment(static_cast<unsigned>(job.launch.environment.size()));
  unsigned variable = 0;
  for (const auto& [name, value] : job.launch.environment) {
    environment[variable].setName(name);
    environment[variable++].setValue(value);
  }
  return true;
}

}  // namespace paddock::coordinator
