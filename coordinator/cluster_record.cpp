#include "coordinator/cluster_record.h"

#include "coordinator/record.h"

namespace paddock::coordinator {
namespace {

using namespace scheduler;

template <typename Value>
Result<Value> read(std::string_view bytes, const char* what) {
  RecordReader reader(bytes);
  Value value;
  reader(value);
  if (!reader.is_good() || !reader.is_at_end())
    return fail(Code::kCorrupt, std::string("this is no ") + what);
  return value;
}

template <typename Value>
std::string written(const Value& value) {
  std::string bytes;
  RecordWriter writer(bytes);
  writer(value);
  return bytes;
}

}  // namespace

// Each list names all fields, in the order of their declaration, and then writes them in the order of the
// format, which is never changed: what is new is written last.
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, JobKey>& value) {
  auto& [graph, job] = value;
  archive(graph, job);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Gpu>& value) {
  auto& [uuid, model, memory_bytes, fault] = value;
  archive(uuid, model, memory_bytes, fault);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Offer>& value) {
  auto& [cpus, memory_bytes, gpus, ports, labels] = value;
  archive(cpus, memory_bytes, gpus, ports, labels);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Free>& value) {
  auto& [cpus, memory_bytes, gpus, ports] = value;
  archive(cpus, memory_bytes, gpus, ports);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Cordon>& value) {
  auto& [reason, is_drain, ends_at, since] = value;
  archive(reason, is_drain, ends_at, since);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Usage>& value) {
  auto& [cpus, gpus, memory_bytes] = value;
  archive(cpus, gpus, memory_bytes);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Tenant>& value) {
  auto& [weight_permille, quota, used, history, charged_at] = value;
  archive(weight_permille, quota, used, history, charged_at);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Hold>& value) {
  auto& [job, nodes, from, victims, looked_at] = value;
  archive(job, nodes, from, victims, looked_at);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Node>& value) {
  auto& [name, incarnation, generation, address, offer, free, is_ready, lease_until, attempts, cordon, faults,
         last_fault_at, cordons_in_a_row, past_incarnations] = value;
  archive(name, incarnation, generation, address, offer, free, is_ready, lease_until, attempts, cordon,
          faults, last_fault_at, cordons_in_a_row, past_incarnations);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Artifact>& value) {
  auto& [path, hash] = value;
  archive(path, hash);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, RetryRule>& value) {
  auto& [limit, backoff, factor_permille, not_on] = value;
  archive(limit, backoff, factor_permille, not_on);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Request>& value) {
  auto& [nodes, ranks_per_node, gpus_per_rank, cpus_per_rank, memory_bytes_per_rank, nodes_min, gpu_model,
         gpu_memory_bytes, labels, avoid, apart] = value;
  archive(nodes, ranks_per_node, gpus_per_rank, cpus_per_rank, memory_bytes_per_rank, nodes_min, gpu_model,
          gpu_memory_bytes, labels, avoid, apart);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, JobRequest>& value) {
  auto& [name, kind, needs, resources, retry, grace, spec, on, time_limit, is_preemptible] = value;
  archive(name, kind, needs, resources, retry, grace, spec, on, time_limit, is_preemptible);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Launch>& value) {
  auto& [command, options, directory, environment, stage_key] = value;
  archive(command, options, directory, environment, stage_key);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Rank>& value) {
  auto& [node, generation, local_rank, gpus, state, pid, failure] = value;
  archive(node, generation, local_rank, gpus, state, pid, failure);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Ending>& value) {
  auto& [outcome, may_retry, reason, since] = value;
  archive(outcome, may_retry, reason, since);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, StartReason>& value) {
  auto& [lead, were_kept, is_on_kept_nodes, is_elsewhere, ahead_index, ahead_graph, priority,
         has_passed_others] = value;
  archive(lead, were_kept, is_on_kept_nodes, is_elsewhere, ahead_index, ahead_graph, priority,
          has_passed_others);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Attempt>& value) {
  auto& [number, fence, outcome, reason, ending, ranks, master_port, started, ended, started_at, start] =
      value;
  archive(number, fence, outcome, reason, ending, ranks, master_port, started, ended, started_at, start);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Job>& value) {
  auto& [request, index, dependants, needs_open, has_failed_need, state, reason, launch, is_cached, artifacts,
         attempts, failures, interruptions, retry_at, started, ended, suspects] = value;
  archive(request, index, dependants, state, reason, launch, is_cached, artifacts, attempts, failures,
          interruptions, retry_at, started, ended, needs_open, has_failed_need, suspects);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Graph>& value) {
  auto& [id, name, tenant, priority, state, cancelled, jobs, jobs_open, jobs_bad, submitted, ended, retry_of,
         schedule, scheduled_for, in_state] = value;
  static_cast<void>(in_state);  // made from the jobs
  archive(id, name, priority, state, cancelled, jobs, jobs_open, submitted, ended, tenant, jobs_bad, retry_of,
          schedule, scheduled_for);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, ScheduleRule>& value) {
  auto& [cron, zone, missed, overlap, deadline] = value;
  archive(cron, zone, missed, overlap, deadline);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, ScheduleRun>& value) {
  auto& [time, graph, note, times] = value;
  archive(time, graph, note, times);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, WaitingRun>& value) {
  auto& [time, token] = value;
  archive(time, token);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Schedule>& value) {
  auto& [name, tenant, priority, jobs, rule, token, settled_until, is_paused, waiting, going, history, runs,
         passed_over] = value;
  archive(name, tenant, priority, jobs, rule, token, settled_until, is_paused, waiting, going, history, runs,
          passed_over);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Reservation>& value) {
  auto& [name, tenants, nodes, begins, ends, made, has_begun] = value;
  archive(name, tenants, nodes, begins, ends, made, has_begun);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Queued>& value) {
  auto& [minus_priority, graph, index, job] = value;
  archive(minus_priority, graph, index, job);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Rest>& value) {
  auto& [key, from, is_again, is_due, due_at] = value;
  archive(key, from, is_again, is_due, due_at);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, AttemptKey>& value) {
  auto& [job, number] = value;
  archive(job, number);
}
template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Cluster>& value) {
  auto& [next_graph, next_fence, now, graphs, nodes, queue, backoffs, time_limits, attempts, tokens,
         stage_owners, stages, is_placement_due, rules, cordons, tenants, waits, holds, schedules,
         reservations, rest, index] = value;
  static_cast<void>(index);  // made from the rest: to_cluster()
  archive(next_graph, next_fence, now, graphs, nodes, queue, backoffs, attempts, tokens, stage_owners, stages,
          is_placement_due, time_limits, rules, cordons, tenants, waits, holds, schedules, reservations,
          rest);
}

std::string to_bytes(const Cluster& cluster) {
  return written(cluster);
}
std::string to_bytes(const Graph& graph) {
  return written(graph);
}
Result<Cluster> to_cluster(std::string_view bytes) {
  auto cluster = read<Cluster>(bytes, "cluster");
  if (!cluster) return cluster;
  if (cluster->holds.size() > kHoldsMax) {
    return fail(Code::kCorrupt, "this is no cluster: nodes are kept for " +
                                    std::to_string(cluster->holds.size()) + " jobs, which is more than " +
                                    std::to_string(kHoldsMax));
  }
  for (auto& [id, graph] : cluster->graphs) {
    share_alike(graph);
    graph.in_state = count_states(graph);
  }
  cluster->index = rebuilt(*cluster);
  return cluster;
}
Result<Graph> to_graph(std::string_view bytes) {
  auto graph = read<Graph>(bytes, "graph");
  if (graph) graph->in_state = count_states(*graph);
  return graph;
}

}  // namespace paddock::coordinator
