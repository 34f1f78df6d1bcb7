#include "coordinator/event_json.h"

#include <array>
#include <concepts>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>
#include <variant>

#include "coordinator/fields.h"
#include "coordinator/json_text.h"
#include "coordinator/plan_json.h"
#include "scheduler/edges.h"

namespace paddock::coordinator {
namespace {

using nlohmann::json;
using namespace scheduler;

void write(JsonText& record, const Artifacts& artifacts) {
  for (const auto& entry : artifacts) {
    record.object(entry.first, [&](JsonText& artifact) {
      artifact.field("path", entry.second.path).field("hash", entry.second.hash);
    });
  }
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

void write(JsonText& record, const JobRequest& job) {
  const Request& asked = job.resources;
  const RetryRule& retry = job.retry;
  record.field("name", job.name)
      .field("kind", job.kind)
      .field("needs", job.needs)
      .field("nodes", asked.nodes)
      .field("ranks_per_node", asked.ranks_per_node)
      .field("gpus_per_rank", asked.gpus_per_rank)
      .field("cpus_per_rank", asked.cpus_per_rank)
      .field("memory_bytes_per_rank", asked.memory_bytes_per_rank)
      .field("retry_limit", retry.limit)
      .field("retry_backoff_ms", retry.backoff)
      .field("retry_factor_permille", retry.factor_permille)
      .field("grace_ms", job.grace)
      .field("spec", job.spec);
  // Fields of later versions are written only where they say something, so that a large graph stays small.
  if (!job.on.empty()) {
    record.object("on", [&](JsonText& edges) {
      for (const auto& [need, on] : job.on) edges.field(need.value, name_of(on));
    });
  }
  if (job.time_limit > Millis(0)) record.field("time_limit_ms", job.time_limit);
  if (job.is_preemptible) record.field("preemptible", true);
  if (retry.not_on != RetryRule().not_on) record.field("retry_not_on", retry.not_on);
  if (asked.nodes_min > 0) record.field("nodes_min", asked.nodes_min);
  if (!asked.gpu_model.empty()) record.field("gpu_model", asked.gpu_model);
  if (asked.gpu_memory_bytes > 0) record.field("gpu_memory_bytes", asked.gpu_memory_bytes);
  if (!asked.labels.empty()) record.field("labels", asked.labels);
  if (!asked.avoid.empty()) record.field("avoid", asked.avoid);
  if (!asked.apart.empty()) record.field("apart", asked.apart);
}

void read_labels(Fields& fields, const char* key, Labels& labels) {
  fields.read_map_if_there(key,
                           [&](const std::string& name, const std::string& value) { labels[name] = value; });
}

void read_edges(Fields& fields, std::map<JobName, On>& edges) {
  fields.read_map_if_there("on", [&](const std::string& need, const std::string& text) {
    const auto on = named(text, std::array{On::kSuccess, On::kFailure, On::kAlways});
    if (on) edges[JobName{need}] = *on;
    if (!on) fields.complain("an edge is '" + text + "', which is not known; a newer version wrote it");
  });
}

void read_job(Fields& fields, JobRequest& job) {
  Request asked;
  RetryRule retry;
  fields.read("name", job.name);
  fields.read("kind", job.kind);
  fields.read("needs", job.needs);
  fields.read("nodes", asked.nodes);
  fields.read("ranks_per_node", asked.ranks_per_node);
  fields.read("gpus_per_rank", asked.gpus_per_rank);
  fields.read("cpus_per_rank", asked.cpus_per_rank);
  fields.read("memory_bytes_per_rank", asked.memory_bytes_per_rank);
  fields.read("retry_limit", retry.limit);
  fields.read("retry_backoff_ms", retry.backoff);
  fields.read("retry_factor_permille", retry.factor_permille);
  fields.read("grace_ms", job.grace);
  fields.read("spec", job.spec);
  read_edges(fields, job.on);
  fields.read_if_there("time_limit_ms", job.time_limit);
  fields.read_if_there("preemptible", job.is_preemptible);
  fields.read_if_there("retry_not_on", retry.not_on);
  fields.read_if_there("nodes_min", asked.nodes_min);
  fields.read_if_there("gpu_model", asked.gpu_model);
  fields.read_if_there("gpu_memory_bytes", asked.gpu_memory_bytes);
  read_labels(fields, "labels", asked.labels);
  read_labels(fields, "avoid", asked.avoid);
  fields.read_if_there("apart", asked.apart);
  job.resources = std::move(asked);
  job.retry = std::move(retry);
}

// An event with nothing but fields that are always there: list() gives each with its key, to be written or to be read. The others
// have a pair of functions each. The type's name stands in kTypes below.
template <typename E, typename Event>
concept Is = std::same_as<std::remove_const_t<E>, Event>;

void write(JsonText& record, const GraphSubmitted& event) {
  record.field("name", event.name)
      .field("tenant", event.tenant)
      .field("priority", event.priority)
      .field("token", event.token)
      .list("jobs", event.jobs, [](JsonText& each, const JobRequest& job) { write(each, job); });
  if (event.retry_of != GraphId()) record.field("retry_of", event.retry_of);
  if (event.done.empty()) return;
  record.object("done", [&](JsonText& done) {
    for (const auto& entry : event.done)
      done.object(entry.first.value, [&](JsonText& made) { write(made, entry.second); });
  });
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

void list(auto field, Is<GraphCancelled> auto& event) {
  field("graph", event.graph);
  field("reason", event.reason);
}

void write(JsonText& record, const JobPrepared& event) {
  record.field("graph", event.job.graph)
      .field("job", event.job.job)
      .field("command", event.launch.command)
      .field("options", event.launch.options)
      .field("directory", event.launch.directory)
      .field("environment", event.launch.environment)
      .field("stage_key", event.launch.stage_key)
      .field("cached", event.is_cached)
      .object("artifacts", [&](JsonText& artifacts) { write(artifacts, event.artifacts); });
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

void list(auto field, Is<JobRefused> auto& event) {
  field("graph", event.job.graph);
  field("job", event.job.job);
  field("reason", event.reason);
}

void write(JsonText& record, const NodeJoined& event) {
  record.field("node", event.node)
      .field("incarnation", event.incarnation)
      .field("address", event.address)
      .field("cpus", event.offer.cpus)
      .field("memory_bytes", event.offer.memory_bytes)
      .list("gpus", event.offer.gpus,
            [](JsonText& each, const Gpu& gpu) {
              each.field("uuid", gpu.uuid).field("model", gpu.model).field("memory_bytes", gpu.memory_bytes);
            })
      .field("ports", event.offer.ports)
      .field("lease_until", event.lease_until);
  if (!event.offer.labels.empty()) record.field("labels", event.offer.labels);
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
void list(auto field, Is<NodeSeen> auto& event) {
  field("node", event.node);
  field("incarnation", event.incarnation);
  field("lease_until", event.lease_until);
}

void list(auto field, Is<NodeLeft> auto& event) {
  field("node", event.node);
  field("incarnation", event.incarnation);
}

void list(auto field, Is<NodeLost> auto& event) {
  field("node", event.node);
  field("incarnation", event.incarnation);
}

void list(auto field, Is<GpuFaulted> auto& event) {
  field("node", event.node);
  field("incarnation", event.incarnation);
  field("uuid", event.uuid);
  field("reason", event.reason);
}

void list(auto field, Is<BackoffEnded> auto& event) {
  field("graph", event.job.graph);
  field("job", event.job.job);
}

void list(auto field, Is<RankStarted> auto& event) {
  field("fence", event.fence);
  field("rank", event.rank);
  field("pid", event.pid);
}

void list(auto field, Is<RankEnded> auto& event) {
  field("fence", event.fence);
  field("rank", event.rank);
  field("exit_code", event.exit_code);
  field("signal", event.signal);
  field("reason", event.reason);
  field("out_of_memory", event.is_out_of_memory);
  field("node_fault", event.is_node_fault);
}

void list(auto field, Is<FailureReported> auto& event) {
  field("fence", event.fence);
  field("rank", event.rank);
  field("message", event.message);
}

void list(auto field, Is<ArtifactRecorded> auto& event) {
  field("fence", event.fence);
  field("name", event.name);
  field("path", event.artifact.path);
  field("hash", event.artifact.hash);
}

void list(auto field, Is<CheckpointRecorded> auto& event) {
  field("fence", event.fence);
  field("step", event.step);
  field("path", event.path);
  field("hash", event.hash);
  field("bytes", event.bytes);
}

void write(JsonText& record, const CoordinatorStarted& event) {
  record.field("lease_until", event.lease_until).field("rules", event.rules);
}
void read(Fields& fields, CoordinatorStarted& event) {
  fields.read("lease_until", event.lease_until);
  event.rules = 1;
  fields.read_if_there("rules", event.rules);
}

void list(auto field, Is<JobSkipped> auto& event) {
  field("graph", event.job.graph);
  field("job", event.job.job);
  field("reason", event.reason);
}

void list(auto field, Is<TimeLimitReached> auto& event) {
  field("fence", event.fence);
}

void list(auto field, Is<GraphsArchived> auto& event) {
  field("graphs", event.graphs);
}

void list(auto field, Is<NodeDrained> auto& event) {
  field("node", event.node);
  field("reason", event.reason);
  field("ends_at", event.ends_at);
}

void list(auto field, Is<NodeResumed> auto& event) {
  field("node", event.node);
}

void list(auto field, Is<CordonEnded> auto& event) {
  field("node", event.node);
}

void list(auto field, Is<TenantSet> auto& event) {
  field("tenant", event.tenant);
  field("weight_permille", event.weight_permille);
  field("cpus", event.quota.cpus);
  field("gpus", event.quota.gpus);
  field("memory_bytes", event.quota.memory_bytes);
}

void write(JsonText& record, const ScheduleSet& event) {
  write(record, event.graph);
  write_rule(record, event.rule);
}
void read(Fields& fields, ScheduleSet& event) {
  read(fields, event.graph);
  read_rule(fields, event.rule);
}

void write(JsonText&, const RestDue&) {}
void read(Fields&, RestDue&) {}

template <typename E>
concept IsListed = requires(E& event) {
  list([](const char*, auto&) {}, event);
};

template <IsListed E>
void write(JsonText& record, const E& event) {
  list([&](const char* key, const auto& value) { record.field(key, value); }, event);
}
template <IsListed E>
void read(Fields& fields, E& event) {
  list([&](const char* key, auto& value) { fields.read(key, value); }, event);
}

// By index in scheduler::What.
constexpr std::array kTypes{"graph_submitted",   "graph_cancelled",     "job_prepared",
                            "job_refused",       "node_joined",         "node_seen",
                            "node_left",         "node_lost",           "backoff_ended",
                            "rank_started",      "rank_ended",          "failure_reported",
                            "artifact_recorded", "checkpoint_recorded", "coordinator_started",
                            "job_skipped",       "time_limit_reached",  "graphs_archived",
                            "node_drained",      "node_resumed",        "cordon_ended",
                            "tenant_set",        "gpu_faulted",         "schedule_set",
                            "schedule_due",      "schedule_steered",    "schedule_run_asked",
                            "reservation_set",   "reservation_removed", "reservation_turned",
                            "rest_due"};
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
  std::string text;
  {
    JsonText record(text);
    record.field("type", kTypes[event.what.index()])
        .field("at_ms", event.at.now)
        .field("wall_ms", event.at.wall);
    if (event.is_followed) record.field("followed", true);
    std::visit([&](const auto& what) { write(record, what); }, event.what);
  }
  return text;
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
  fields.read_if_there("followed", event.is_followed);
  if (!read_type(type, fields, event.what, std::make_index_sequence<std::variant_size_v<What>>{})) {
    fields.complain("event type '" + type + "' is not known; a newer version wrote it");
  }
  if (!problem.empty()) return fail(Code::kCorrupt, problem);
  return event;
}

}  // namespace paddock::coordinator
