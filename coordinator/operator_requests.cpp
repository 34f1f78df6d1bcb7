// The requests by which people steer: why, retry, drain, resume, tenants. Part of Requests (requests.h).
#include <algorithm>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/planted_bug.h"
#include "coordinator/requests.h"
#include "scheduler/explain.h"
#include "scheduler/fair_share.h"

namespace paddock::coordinator {
namespace {

constexpr std::size_t kReasonBytesMax = 1'000;

// All jobs again, but what succeeded is taken as it is.
scheduler::GraphSubmitted again(const scheduler::Graph& graph, std::string token) {
  scheduler::GraphSubmitted submitted{graph.name, graph.priority, std::move(token), {}, graph.tenant};
  submitted.retry_of = graph.id;
  std::vector<const scheduler::Job*> in_order(graph.jobs.size());
  for (const auto& [name, job] : graph.jobs) in_order[job.index] = &job;
  for (const scheduler::Job* job : in_order) {
    submitted.jobs.push_back(job->request);
    if (job->state == scheduler::JobState::kSucceeded && !is_planted(PlantedBug::kRepeatAll))
      submitted.done[job->request.name] = job->artifacts;
  }
  return submitted;
}

}  // namespace

Result<void> Requests::why(const Asker& asker, wire::Why::Reader request, Instant now) {
  scheduler::Cluster past;
  const auto cluster = find(asker, request.getGraph(), past);
  if (!cluster) return tl::unexpected(cluster.error());
  const JobKey key{GraphId{request.getGraph()}, JobName{to_text(request.getJob())}};
  const scheduler::Job* job = scheduler::find_job(**cluster, key);
  if (job == nullptr) {
    return fail(Code::kNotFound, "graph " + std::to_string(key.graph.value) + " has no job " + key.job.value);
  }
  capnp::MallocMessageBuilder builder;
  auto reason = wire::begin(builder, asker.request_id).initReason();
  reason.setState(std::string(scheduler::name_of(job->state)));
  reason.setSentence(scheduler::explain(**cluster, key, {now, from_.clock.wall()}));
  if (const scheduler::Attempt* attempt = job->live_attempt())
    reason.setStart(scheduler::why_started(**cluster, key, *attempt));
  answer(asker, builder);
  return {};
}

Result<void> Requests::retry(const Asker& asker, wire::Retry::Reader request, Turn& turn) {
  const std::string token = to_text(request.getToken());
  TRY(check_token(token), "a retry");
  if (from_.cluster.tokens.contains(token)) {
    answer_submitted(asker, token);
    return {};
  }
  TRY_ASSIGN(const auto archived, from_.archive.with_token(token), "looking for an earlier retry");
  if (archived) {
    answer_submitted(asker, *archived);
    return {};
  }
  TRY(from_.room.check(), "the retry is refused");
  scheduler::Cluster past;
  const auto cluster = find(asker, request.getGraph(), past);
  if (!cluster) return tl::unexpected(cluster.error());
  const scheduler::Graph& graph = *scheduler::find_graph(**cluster, GraphId{request.getGraph()});
  const std::string name = "graph " + std::to_string(graph.id.value);
  if (graph.state == scheduler::GraphState::kActive)
    return fail(Code::kConflict, name + " has not ended yet; `paddock cancel` ends it");
  if (graph.state == scheduler::GraphState::kSucceeded)
    return fail(Code::kConflict, name + " has succeeded: there is nothing to do again");
  turn.events.emplace_back(again(graph, token));
  turn.answers.emplace_back([this, asker, token] { answer_submitted(asker, token); });
  return {};
}

Result<void> Requests::drain(const Asker& asker, wire::Drain::Reader request, Instant now, Turn& turn) {
  const NodeId node{to_text(request.getNode())};
  TRY(check_node(node), "draining a node");
  const std::string reason = to_text(request.getReason());
  if (reason.size() > kReasonBytesMax) return fail(Code::kInvalid, "a reason of more than 1000 bytes");
  const auto deadline = Millis(request.getDeadlineMs());
  const Instant ends_at = deadline > Millis(0) ? now + deadline : Instant();
  from_.log.info("node_drained",
                 {{"node", node.value}, {"reason", reason}, {"by", asker.requester.grant.name}});
  turn.events.emplace_back(
      scheduler::NodeDrained{node, reason.empty() ? "asked by an operator" : reason, ends_at});
  turn.answers.emplace_back([this, asker] { answer_done(asker); });
  return {};
}

Result<void> Requests::resume(const Asker& asker, const std::string& name, Turn& turn) {
  const NodeId node{name};
  TRY(check_node(node), "resuming a node");
  from_.log.info("node_resumed", {{"node", name}, {"by", asker.requester.grant.name}});
  turn.events.emplace_back(scheduler::NodeResumed{node});
  turn.answers.emplace_back([this, asker] { answer_done(asker); });
  return {};
}

Result<void> Requests::set_tenant(const Asker& asker, wire::Tenant::Reader request, Turn& turn) {
  const std::string name = to_text(request.getName());
  if (!is_name(name))
    return fail(Code::kInvalid, "'" + name + "' is no name for a tenant: letters, digits and ._- only");
  if (request.getWeightPermille() < 1 || request.getWeightPermille() > 1'000'000)
    return fail(Code::kInvalid, "a tenant's weight must be within 0.001 and 1000");
  turn.events.emplace_back(
      scheduler::TenantSet{name,
                           request.getWeightPermille(),
                           {request.getCpusMax(), request.getGpusMax(), request.getMemoryBytesMax()}});
  turn.answers.emplace_back([this, asker] { answer_done(asker); });
  return {};
}

Result<void> Requests::tenants(const Asker& asker, Instant now) {
  const scheduler::Cluster& cluster = from_.cluster;
  capnp::MallocMessageBuilder builder;
  auto list =
      wire::begin(builder, asker.request_id).initTenants(static_cast<unsigned>(cluster.tenants.size()));
  unsigned index = 0;
  for (const auto& [name, tenant] : cluster.tenants) {
    auto to = list[index++];
    to.setName(name);
    to.setWeightPermille(static_cast<std::uint32_t>(tenant.weight_permille));
    to.setCpusMax(tenant.quota.cpus);
    to.setGpusMax(tenant.quota.gpus);
    to.setMemoryBytesMax(tenant.quota.memory_bytes);
    to.setCpus(tenant.used.cpus);
    to.setGpus(tenant.used.gpus);
    to.setMemoryBytes(tenant.used.memory_bytes);
    to.setScore(
        static_cast<std::uint64_t>(std::max<std::int64_t>(0, scheduler::score_of(cluster, name, now))));
  }
  answer(asker, builder);
  return {};
}

Result<void> Requests::check_node(const NodeId& node) const {
  if (from_.cluster.nodes.contains(node)) return {};
  return fail(Code::kNotFound, "there is no node " + node.value + "; `paddock nodes` lists them");
}

void Requests::answer_done(const Asker& asker) {
  capnp::MallocMessageBuilder builder;
  wire::begin(builder, asker.request_id).setDone();
  answer(asker, builder);
}

}  // namespace paddock::coordinator
