#include "coordinator/event_json.h"

#include <array>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "coordinator/fields.h"
#include "coordinator/plan_json.h"
#include "scheduler/edges.h"

namespace paddock::coordinator {
namespace {

using nlohmann::json;
using namespace scheduler;

json names_of(const std::vector<JobName>& names) {
  json list = json::array();
  for (const JobName& name : names) list.push_back(name.value);
  return list;
}

json artifacts_json(const Artifacts& artifacts) {
  json map = json::object();
  for (const auto& [name, artifact] : artifacts)
    map[name] = {{"path", artifact.path}, {"hash", artifact.hash}};
  return map;
}

Artifacts read_artifacts(Fields& fields) {
  Artifacts artifacts;
  if (!fields.json().is_object()) return artifacts;
  for (const auto& [name, unused] : fields.json().items()) {
    fields.read_object(name.c_str(), [&](Fields& each) {
      each.read("path", artifacts[name].path);
      each.read("hash", artifacts[name].hash);
    });
  }
  return artifacts;
}

json job_json(const JobRequest& job) {
  json record{{"name", job.name.value},
              {"kind", job.kind},
              {"needs", names_of(job.needs)},
              {"nodes", job.resources.nodes},
              {"ranks_per_node", job.resources.ranks_per_node},
              {"gpus_per_rank", job.resources.gpus_per_rank},
              {"cpus_per_rank", job.resources.cpus_per_rank},
              {"memory_bytes_per_rank", job.resources.memory_bytes_per_rank},
              {"retry_limit", job.retry.limit},
              {"retry_backoff_ms", job.retry.backoff.count()},
              {"retry_factor_permille", job.retry.factor_permille},
              {"grace_ms", job.grace.count()},
              {"spec", job.spec}};
  // Fields of later versions are written only where they say something, so that a large graph stays small.
  for (const auto& [need, on] : job.on) record["on"][need.value] = name_of(on);
  if (job.time_limit > Millis(0)) record["time_limit_ms"] = job.time_limit.count();
  if (job.is_preemptible) record["preemptible"] = true;
  if (job.retry.not_on != RetryRule().not_on) record["retry_not_on"] = job.retry.not_on;
  const Request& asked = job.resources;
  if (asked.nodes_min > 0) record["nodes_min"] = asked.nodes_min;
  if (!asked.gpu_model.empty()) record["gpu_model"] = asked.gpu_model;
  if (asked.gpu_memory_bytes > 0) record["gpu_memory_bytes"] = asked.gpu_memory_bytes;
  if (!asked.labels.empty()) record["labels"] = asked.labels;
  if (!asked.avoid.empty()) record["avoid"] = asked.avoid;
  if (!asked.apart.empty()) record["apart"] = asked.apart;
  return record;
}

void read_labels(Fields& fields, const char* key, Labels& labels) {
  fields.read_map_if_there(key,
                           [&](const std::string& name, const std::string& value) { labels[name] = value; });
}

void read_edges(Fields& fields, std::map<JobName, On>& edges) {
  fields.read_map_if_there("on", [&](const std::string& need, const std::string& text) {
    for (const On on : {On::kSuccess, On::kFailure, On::kAlways}) {
      if (name_of(on) != text) continue;
      edges[JobName{need}] = on;
      return;
    }
    fields.complain("an edge is '" + text + "', which is not known; a newer version wrote it");
  });
}

void read_job(Fields& fields, JobRequest& job) {
  fields.read("name", job.name);
  fields.read("kind", job.kind);
  fields.read("needs", job.needs);
  fields.read("nodes", job.resources.nodes);
  fields.read("ranks_per_node", job.resources.ranks_per_node);
  fields.read("gpus_per_rank", job.resources.gpus_per_rank);
  fields.read("cpus_per_rank", job.resources.cpus_per_rank);
  fields.read("memory_bytes_per_rank", job.resources.memory_bytes_per_rank);
  fields.read("retry_limit", job.retry.limit);
  fields.read("retry_backoff_ms", job.retry.backoff);
  fields.read("retry_factor_permille", job.retry.factor_permille);
  fields.read("grace_ms", job.grace);
  fields.read("spec", job.spec);
  read_edges(fields, job.on);
  fields.read_if_there("time_limit_ms", job.time_limit);
  fields.read_if_there("preemptible", job.is_preemptible);
  fields.read_if_there("retry_not_on", job.retry.not_on);
  Request& asked = job.resources;
  fields.read_if_there("nodes_min", asked.nodes_min);
  fields.read_if_there("gpu_model", asked.gpu_model);
  fields.read_if_there("gpu_memory_bytes", asked.gpu_memory_bytes);
  read_labels(fields, "labels", asked.labels);
  read_labels(fields, "avoid", asked.avoid);
  fields.read_if_there("apart", asked.apart);
}

// One pair of functions an event: its fields written and read. The type's name stands in name_of_type()
// below.
json write(const GraphSubmitted& event) {
  json jobs = json::array();
  for (const JobRequest& job : event.jobs) jobs.push_back(job_json(job));
  json record{{"name", event.name},
              {"tenant", event.tenant},
              {"priority", event.priority},
              {"token", event.token},
              {"jobs", std::move(jobs)}};
  if (event.retry_of != GraphId()) record["retry_of"] = event.retry_of.value;
  for (const auto& [name, artifacts] : event.done) record["done"][name.value] = artifacts_json(artifacts);
  return record;
}
void read(Fields& fields, GraphSubmitted& event) {
  fields.read("name", event.name);
  fields.read_if_there("tenant", event.tenant);
  fields.read("priority", event.priority);
  fields.read("token", event.token);
  fields.read_list("jobs", event.jobs, read_job);
  fields.read_if_there("retry_of", event.retry_of);
  if (!fields.json().is_object() || !fields.json().contains("done")) return;
  fields.read_object("done", [&](Fields& done) {
    if (!done.json().is_object()) return;
    for (const auto& [name, unused] : done.json().items()) {
      done.read_object(name.c_str(),
                       [&](Fields& artifacts) { event.done[JobName{name}] = read_artifacts(artifacts); });
    }
  });
}

json write(const GraphCancelled& event) {
  return {{"graph", event.graph.value}, {"reason", event.reason}};
}
void read(Fields& fields, GraphCancelled& event) {
  fields.read("graph", event.graph);
  fields.read("reason", event.reason);
}

json write(const JobPrepared& event) {
  json environment = json::object();
  for (const auto& [name, value] : event.launch.environment) environment[name] = value;
  return {{"graph", event.job.graph.value},
          {"job", event.job.job.value},
          {"command", event.launch.command},
          {"options", event.launch.options},
          {"directory", event.launch.directory},
          {"environment", std::move(environment)},
          {"stage_key", event.launch.stage_key},
          {"cached", event.is_cached},
          {"artifacts", artifacts_json(event.artifacts)}};
}
void read(Fields& fields, JobPrepared& event) {
  fields.read("graph", event.job.graph);
  fields.read("job", event.job.job);
  fields.read("command", event.launch.command);
  fields.read("options", event.launch.options);
  fields.read("directory", event.launch.directory);
  fields.read_object("environment", [&](Fields& environment) {
    if (!environment.json().is_object()) return;
    for (const auto& [name, unused] : environment.json().items()) {
      environment.read(name.c_str(), event.launch.environment[name]);
    }
  });
  fields.read("stage_key", event.launch.stage_key);
  fields.read("cached", event.is_cached);
  fields.read_object("artifacts", [&](Fields& artifacts) { event.artifacts = read_artifacts(artifacts); });
}

json write(const JobRefused& event) {
  return {{"graph", event.job.graph.value}, {"job", event.job.job.value}, {"reason", event.reason}};
}
void read(Fields& fields, JobRefused& event) {
  fields.read("graph", event.job.graph);
  fields.read("job", event.job.job);
  fields.read("reason", event.reason);
}

json write(const NodeJoined& event) {
  json gpus = json::array();
  for (const Gpu& gpu : event.offer.gpus) {
    gpus.push_back({{"uuid", gpu.uuid}, {"model", gpu.model}, {"memory_bytes", gpu.memory_bytes}});
  }
  json record{
      {"node", event.node.value},   {"incarnation", event.incarnation},         {"address", event.address},
      {"cpus", event.offer.cpus},   {"memory_bytes", event.offer.memory_bytes}, {"gpus", std::move(gpus)},
      {"ports", event.offer.ports}, {"lease_until", event.lease_until.ms}};
  if (!event.offer.labels.empty()) record["labels"] = event.offer.labels;
  return record;
}
void read(Fields& fields, NodeJoined& event) {
  fields.read("node", event.node);
  fields.read("incarnation", event.incarnation);
  fields.read("address", event.address);
  fields.read("cpus", event.offer.cpus);
  fields.read("memory_bytes", event.offer.memory_bytes);
  fields.read_list("gpus", event.offer.gpus, [](Fields& each, Gpu& gpu) {
    each.read("uuid", gpu.uuid);
    each.read("model", gpu.model);
    each.read("memory_bytes", gpu.memory_bytes);
  });
  fields.read("ports", event.offer.ports);
  read_labels(fields, "labels", event.offer.labels);
  fields.read("lease_until", event.lease_until);
}

// Not journaled, but a record of it can be written for traces.
json write(const NodeSeen& event) {
  return {
      {"node", event.node.value}, {"incarnation", event.incarnation}, {"lease_until", event.lease_until.ms}};
}
void read(Fields& fields, NodeSeen& event) {
  fields.read("node", event.node);
  fields.read("incarnation", event.incarnation);
  fields.read("lease_until", event.lease_until);
}

json write(const NodeLeft& event) {
  return {{"node", event.node.value}, {"incarnation", event.incarnation}};
}
void read(Fields& fields, NodeLeft& event) {
  fields.read("node", event.node);
  fields.read("incarnation", event.incarnation);
}

json write(const NodeLost& event) {
  return {{"node", event.node.value}, {"incarnation", event.incarnation}};
}
void read(Fields& fields, NodeLost& event) {
  fields.read("node", event.node);
  fields.read("incarnation", event.incarnation);
}

json write(const GpuFaulted& event) {
  return {{"node", event.node.value},
          {"incarnation", event.incarnation},
          {"uuid", event.uuid},
          {"reason", event.reason}};
}
void read(Fields& fields, GpuFaulted& event) {
  fields.read("node", event.node);
  fields.read("incarnation", event.incarnation);
  fields.read("uuid", event.uuid);
  fields.read("reason", event.reason);
}

json write(const BackoffEnded& event) {
  return {{"graph", event.job.graph.value}, {"job", event.job.job.value}};
}
void read(Fields& fields, BackoffEnded& event) {
  fields.read("graph", event.job.graph);
  fields.read("job", event.job.job);
}

json write(const RankStarted& event) {
  return {{"fence", event.fence.value}, {"rank", event.rank.value}, {"pid", event.pid}};
}
void read(Fields& fields, RankStarted& event) {
  fields.read("fence", event.fence);
  fields.read("rank", event.rank);
  fields.read("pid", event.pid);
}

json write(const RankEnded& event) {
  return {{"fence", event.fence.value},       {"rank", event.rank.value},
          {"exit_code", event.exit_code},     {"signal", event.signal},
          {"reason", event.reason},           {"out_of_memory", event.is_out_of_memory},
          {"node_fault", event.is_node_fault}};
}
void read(Fields& fields, RankEnded& event) {
  fields.read("fence", event.fence);
  fields.read("rank", event.rank);
  fields.read("exit_code", event.exit_code);
  fields.read("signal", event.signal);
  fields.read("reason", event.reason);
  fields.read("out_of_memory", event.is_out_of_memory);
  fields.read("node_fault", event.is_node_fault);
}

json write(const FailureReported& event) {
  return {{"fence", event.fence.value}, {"rank", event.rank.value}, {"message", event.message}};
}
void read(Fields& fields, FailureReported& event) {
  fields.read("fence", event.fence);
  fields.read("rank", event.rank);
  fields.read("message", event.message);
}

json write(const ArtifactRecorded& event) {
  return {{"fence", event.fence.value},
          {"name", event.name},
          {"path", event.artifact.path},
          {"hash", event.artifact.hash}};
}
void read(Fields& fields, ArtifactRecorded& event) {
  fields.read("fence", event.fence);
  fields.read("name", event.name);
  fields.read("path", event.artifact.path);
  fields.read("hash", event.artifact.hash);
}

json write(const CheckpointRecorded& event) {
  return {{"fence", event.fence.value},
          {"step", event.step},
          {"path", event.path},
          {"hash", event.hash},
          {"bytes", event.bytes}};
}
void read(Fields& fields, CheckpointRecorded& event) {
  fields.read("fence", event.fence);
  fields.read("step", event.step);
  fields.read("path", event.path);
  fields.read("hash", event.hash);
  fields.read("bytes", event.bytes);
}

json write(const CoordinatorStarted& event) {
  return {{"lease_until", event.lease_until.ms}, {"rules", event.rules}};
}
void read(Fields& fields, CoordinatorStarted& event) {
  fields.read("lease_until", event.lease_until);
  event.rules = 1;
  fields.read_if_there("rules", event.rules);
}

json write(const JobSkipped& event) {
  return {{"graph", event.job.graph.value}, {"job", event.job.job.value}, {"reason", event.reason}};
}
void read(Fields& fields, JobSkipped& event) {
  fields.read("graph", event.job.graph);
  fields.read("job", event.job.job);
  fields.read("reason", event.reason);
}

json write(const TimeLimitReached& event) {
  return {{"fence", event.fence.value}};
}
void read(Fields& fields, TimeLimitReached& event) {
  fields.read("fence", event.fence);
}

json write(const GraphsArchived& event) {
  json graphs = json::array();
  for (const GraphId id : event.graphs) graphs.push_back(id.value);
  return {{"graphs", std::move(graphs)}};
}
void read(Fields& fields, GraphsArchived& event) {
  fields.read("graphs", event.graphs);
}

json write(const NodeDrained& event) {
  return {{"node", event.node.value}, {"reason", event.reason}, {"ends_at", event.ends_at.ms}};
}
void read(Fields& fields, NodeDrained& event) {
  fields.read("node", event.node);
  fields.read("reason", event.reason);
  fields.read("ends_at", event.ends_at);
}

json write(const NodeResumed& event) {
  return {{"node", event.node.value}};
}
void read(Fields& fields, NodeResumed& event) {
  fields.read("node", event.node);
}

json write(const CordonEnded& event) {
  return {{"node", event.node.value}};
}
void read(Fields& fields, CordonEnded& event) {
  fields.read("node", event.node);
}

json write(const TenantSet& event) {
  return {{"tenant", event.tenant},
          {"weight_permille", event.weight_permille},
          {"cpus", event.quota.cpus},
          {"gpus", event.quota.gpus},
          {"memory_bytes", event.quota.memory_bytes}};
}
void read(Fields& fields, TenantSet& event) {
  fields.read("tenant", event.tenant);
  fields.read("weight_permille", event.weight_permille);
  fields.read("cpus", event.quota.cpus);
  fields.read("gpus", event.quota.gpus);
  fields.read("memory_bytes", event.quota.memory_bytes);
}

json write(const ScheduleSet& event) {
  json record = write(event.graph);
  record.update(rule_json(event.rule));
  return record;
}
void read(Fields& fields, ScheduleSet& event) {
  read(fields, event.graph);
  read_rule(fields, event.rule);
}

// By index in scheduler::What.
constexpr std::array kTypes{
    "graph_submitted",     "graph_cancelled",     "job_prepared",        "job_refused",
    "node_joined",         "node_seen",           "node_left",           "node_lost",
    "backoff_ended",       "rank_started",        "rank_ended",          "failure_reported",
    "artifact_recorded",   "checkpoint_recorded", "coordinator_started", "job_skipped",
    "time_limit_reached",  "graphs_archived",     "node_drained",        "node_resumed",
    "cordon_ended",        "tenant_set",          "gpu_faulted",         "schedule_set",
    "schedule_due",        "schedule_steered",    "schedule_run_asked",  "reservation_set",
    "reservation_removed", "reservation_turned"};
static_assert(kTypes.size() == std::variant_size_v<What>);

template <std::size_t... I>
bool read_type(const std::string& type, Fields& fields, What& what, std::index_sequence<I...>) {
  const auto read_as = [&]<std::size_t Index>(std::integral_constant<std::size_t, Index>) {
    if (type != kTypes[Index]) return false;
    read(fields, what.emplace<Index>());
    return true;
  };
  return (read_as(std::integral_constant<std::size_t, I>{}) || ...);
}

}  // namespace

std::string to_record(const Event& event) {
  json record = std::visit([](const auto& what) { return write(what); }, event.what);
  record["type"] = kTypes[event.what.index()];
  record["at_ms"] = event.at.now.ms;
  record["wall_ms"] = event.at.wall.unix_ms;
  // Texts from the wire are UTF-8; anything else is replaced, never thrown at.
  return record.dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<Event> to_event(std::string_view record) {
  const json parsed = json::parse(record, nullptr, false);
  if (parsed.is_discarded()) return fail(Code::kCorrupt, "the record is not JSON");
  std::string problem;
  std::string type;
  Event event;
  Fields fields(parsed, problem);
  fields.read("type", type);
  fields.read("at_ms", event.at.now);
  fields.read("wall_ms", event.at.wall.unix_ms);
  if (!read_type(type, fields, event.what, std::make_index_sequence<std::variant_size_v<What>>{})) {
    fields.complain("event type '" + type + "' is not known; a newer version wrote it");
  }
  if (!problem.empty()) return fail(Code::kCorrupt, problem);
  return event;
}

}  // namespace paddock::coordinator
