#include "coordinator/requests.h"

#include <sys/stat.h>

#include <algorithm>
#include <system_error>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/planted_bug.h"
#include "coordinator/prepare.h"
#include "coordinator/submission.h"
#include "jobs/spec/job_kinds.h"
#include "jobs/spec/parse.h"
#include "jobs/spec/references.h"
#include "scheduler/explain.h"

namespace paddock::coordinator {
namespace {

Error no_graph(std::uint64_t id) {
  return Error{Code::kNotFound, "there is no graph " + std::to_string(id) + "; `paddock status` lists them"};
}

Error no_job(std::uint64_t id, const std::string& job) {
  return Error{Code::kNotFound, "graph " + std::to_string(id) + " has no job " + job};
}

// Whoever's key is of a tenant submits for that tenant. A file that names no tenant has the default's.
Result<void> charge(spec::GraphSpec& graph, const std::string& tenant) {
  if (tenant.empty() || graph.tenant == tenant) return {};
  if (graph.tenant != spec::GraphSpec().tenant) {
    return fail(Code::kDenied, "it is to be charged to tenant " + graph.tenant +
                                   ", but this key submits for " + tenant + ": leave `tenant` out");
  }
  graph.tenant = tenant;
  return {};
}

Result<spec::GraphSpec> read_graph(wire::Submit::Reader request) {
  auto graph = spec::parse_graph(to_text(request.getSpec()), to_text(request.getFile()));
  if (graph && request.getNoCache()) {
    for (spec::JobSpec& job : graph->jobs) job.cache = false;
  }
  return graph;
}

// When the folder was last written to; 0: it cannot be asked.
std::int64_t modified_unix_ms(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return 0;
  return std::int64_t{status.st_mtim.tv_sec} * 1'000 + status.st_mtim.tv_nsec / 1'000'000;
}

// Jobs in an order in which each comes after what it needs.
std::vector<const spec::JobSpec*> in_order_of_needs(const spec::GraphSpec& graph) {
  std::map<std::string, std::size_t> unmet;
  std::map<std::string, std::vector<const spec::JobSpec*>> dependants;
  std::vector<const spec::JobSpec*> order;
  for (const spec::JobSpec& job : graph.jobs) {
    unmet[job.name] = job.needs.size();
    for (const std::string& need : job.needs) dependants[need].push_back(&job);
    if (job.needs.empty()) order.push_back(&job);
  }
  for (std::size_t next = 0; next < order.size(); ++next) {
    for (const spec::JobSpec* dependant : dependants[order[next]->name]) {
      if (--unmet[dependant->name] == 0) order.push_back(dependant);
    }
  }
  return order;
}

struct Planned {
  std::string options;
  bool is_cached = false;
};

// What is known of each job before anything runs: its stage key only when all that it refers to is cached as
// well.
std::map<std::string, Planned> plan_jobs(const spec::GraphSpec& graph, const scheduler::Cluster& cluster,
                                         const std::filesystem::path& store) {
  std::map<std::string, Planned> planned;
  Made made;
  for (const spec::JobSpec* job : in_order_of_needs(graph)) {
    Planned& plan = planned[job->name];
    plan.options = job->with.dump(-1, ' ', false, spec::Json::error_handler_t::replace);
    const auto preparation = prepare(*job, made, cluster.stages, store, store / "graphs");
    if (!preparation) continue;
    plan.options = preparation->launch.options;
    plan.is_cached = preparation->is_cached;
    if (plan.is_cached) made[job->name] = preparation->artifacts;
  }
  return planned;
}

std::string placement_of(const spec::JobSpec& job, const scheduler::Cluster& cluster,
                         const std::map<std::string, Planned>& planned) {
  if (planned.at(job.name).is_cached) return "is in the cache already";
  const std::string now = scheduler::explain_request(cluster, to_request(job.resources));
  std::string open;
  for (const std::string& need : job.needs) {
    if (!planned.at(need).is_cached) open += (open.empty() ? "" : ", ") + need;
  }
  return open.empty() ? now : "after " + open + "; " + now;
}

}  // namespace

bool Requests::handle(const Asker& asker, wire::Message::Reader message, Instant now, Turn& turn) {
  Result<void> outcome;
  switch (message.which()) {
    case wire::Message::SUBMIT:
      outcome = submit(asker, message.getSubmit(), turn);
      break;
    case wire::Message::PLAN:
      outcome = plan(asker, message.getPlan());
      break;
    case wire::Message::STATUS_REQUEST:
      outcome = status(asker, message.getStatusRequest(), now);
      break;
    case wire::Message::LOG_REQUEST:
      outcome = logs(asker, message.getLogRequest());
      break;
    case wire::Message::CANCEL:
      outcome = cancel(asker, message.getCancel(), turn);
      break;
    case wire::Message::NODES_REQUEST:
      outcome = nodes(asker, now);
      break;
    case wire::Message::CHECKPOINTS_REQUEST:
      outcome = checkpoints(asker, message.getCheckpointsRequest());
      break;
    case wire::Message::WHY:
      outcome = why(asker, message.getWhy(), now);
      break;
    case wire::Message::RETRY:
      outcome = retry(asker, message.getRetry(), turn);
      break;
    case wire::Message::DRAIN:
      outcome = drain(asker, message.getDrain(), now, turn);
      break;
    case wire::Message::RESUME:
      outcome = resume(asker, to_text(message.getResume()), turn);
      break;
    case wire::Message::TENANTS_REQUEST:
      outcome = tenants(asker, now);
      break;
    case wire::Message::SCHEDULES_REQUEST:
      outcome = schedules(asker, to_text(message.getSchedulesRequest()));
      break;
    case wire::Message::STEER_SCHEDULE:
      outcome = steer_schedule(asker, message.getSteerSchedule(), turn);
      break;
    case wire::Message::RESERVE:
      outcome = reserve(asker, message.getReserve(), turn);
      break;
    case wire::Message::UNRESERVE:
      outcome = unreserve(asker, to_text(message.getUnreserve()), turn);
      break;
    case wire::Message::RESERVATIONS_REQUEST:
      answer_reservations(asker, "");
      break;
    case wire::Message::SET_TENANT:
      outcome = set_tenant(asker, message.getSetTenant(), turn);
      break;
    default:
      return false;
  }
  if (!outcome) refuse(asker, outcome.error());
  return true;
}

Result<const scheduler::Cluster*> Requests::find(const Asker& asker, std::uint64_t id,
                                                 scheduler::Cluster& past) const {
  const scheduler::Cluster* cluster = &from_.cluster;
  if (scheduler::find_graph(*cluster, GraphId{id}) == nullptr) {
    TRY_ASSIGN(const bool is_archived, from_.archive.find(GraphId{id}, past), "graph " + std::to_string(id));
    if (!is_archived) return tl::unexpected(no_graph(id));
    cluster = &past;
  }
  if (!reaches(asker.requester, asker.reach, scheduler::find_graph(*cluster, GraphId{id})->tenant)) {
    return fail(Code::kDenied, "graph " + std::to_string(id) + " belongs to another tenant than the key of " +
                                   asker.requester.grant.name);
  }
  return cluster;
}

void Requests::answer(const Asker& asker, capnp::MessageBuilder& builder) {
  const auto sent = from_.server.send(asker.peer, builder);
  if (sent) return;
  // An answer that is too large or cannot be encoded becomes a refusal; a client that has gone gets nothing.
  if (sent.error().code == Code::kExhausted || sent.error().code == Code::kInvalid)
    return refuse(asker, sent.error());
  from_.log.debug("answer_undeliverable", {{"reason", sent.error().message}});
}

void Requests::refuse(const Asker& asker, const Error& error) {
  capnp::MallocMessageBuilder builder;
  wire::write_refusal(builder, asker.request_id, error);
  if (const auto sent = from_.server.send(asker.peer, builder); !sent) {
    from_.log.debug("refusal_undeliverable", {{"reason", sent.error().message}});
  }
}

void Requests::answer_submitted(const Asker& asker, const std::string& token) {
  const auto accepted = from_.cluster.tokens.find(token);
  if (accepted == from_.cluster.tokens.end()) {
    return refuse(asker, Error{Code::kInvalid, "the graph was not accepted"});
  }
  answer_submitted(asker, from_.cluster.graphs.at(accepted->second));
}

void Requests::answer_submitted(const Asker& asker, const scheduler::Graph& graph) {
  capnp::MallocMessageBuilder builder;
  auto submitted = wire::begin(builder, asker.request_id).initSubmitted();
  submitted.setGraph(graph.id.value);
  submitted.setName(graph.name);
  answer(asker, builder);
}

Result<void> check_token(const std::string& token) {
  if (token.empty() || token.size() > limits::kNameBytesMax)
    return fail(Code::kInvalid, "it needs a token of 1 to " + std::to_string(limits::kNameBytesMax) +
                                    " bytes, drawn by the client, so that sending it twice is harmless");
  if (token.find('@') != std::string::npos)
    return fail(Code::kInvalid, "a token with @ is a scheduled run's; draw another");
  return {};
}

Result<void> Requests::submit(const Asker& asker, wire::Submit::Reader request, Turn& turn) {
  const std::string token = to_text(request.getToken());
  TRY(check_token(token), "a submission");
  if (from_.cluster.tokens.contains(token)) {
    answer_submitted(asker, token);
    return {};
  }
  TRY_ASSIGN(const auto archived, from_.archive.with_token(token), "looking for an earlier submission");
  if (archived) {
    answer_submitted(asker, *archived);
    return {};
  }
  TRY(from_.room.check(), "the submission is refused");
  TRY_ASSIGN(spec::GraphSpec graph, read_graph(request), "the submission is refused");
  TRY(charge(graph, asker.requester.grant.tenant), "the submission is refused");
  TRY_ASSIGN(scheduler::GraphSubmitted submitted, to_submission(graph, token), "the submission is refused");
  from_.log.info("graph_submitted", {{"name", graph.name},
                                     {"jobs", graph.jobs.size()},
                                     {"tenant", graph.tenant},
                                     {"by", asker.requester.grant.name}});
  if (graph.schedule) return set_schedule(asker, *graph.schedule, std::move(submitted), turn);
  turn.events.emplace_back(std::move(submitted));
  turn.answers.emplace_back([this, asker, token] { answer_submitted(asker, token); });
  return {};
}

Result<void> Requests::plan(const Asker& asker, wire::Submit::Reader request) {
  TRY_ASSIGN(spec::GraphSpec graph, read_graph(request), "the graph would be refused");
  TRY(charge(graph, asker.requester.grant.tenant), "the graph would be refused");
  TRY(to_submission(graph, "plan"), "the graph would be refused");
  const auto planned = plan_jobs(graph, from_.cluster, from_.options.store);
  capnp::MallocMessageBuilder builder;
  auto jobs =
      wire::begin(builder, asker.request_id).initPlanned().initJobs(static_cast<unsigned>(graph.jobs.size()));
  for (unsigned i = 0; i < jobs.size(); ++i) {
    const spec::JobSpec& job = graph.jobs[i];
    jobs[i].setName(job.name);
    jobs[i].setKind(job.kind);
    auto needs = jobs[i].initNeeds(static_cast<unsigned>(job.needs.size()));
    for (unsigned need = 0; need < needs.size(); ++need) needs.set(need, job.needs[need]);
    jobs[i].setRanks(to_request(job.resources).world_size());
    jobs[i].setPlacement(placement_of(job, from_.cluster, planned));
    jobs[i].setCached(planned.at(job.name).is_cached);
    jobs[i].setWith(planned.at(job.name).options);
  }
  answer(asker, builder);
  return {};
}

Result<void> Requests::status(const Asker& asker, wire::StatusRequest::Reader request, Instant now) {
  capnp::MallocMessageBuilder builder;
  auto to = wire::begin(builder, asker.request_id).initStatus();
  if (request.getGraph() == 0) {
    TRY_ASSIGN(const auto archived, from_.archive.newest(), "listing graphs");
    write_graphs(to, from_.cluster, archived, [&](const scheduler::Graph& graph) {
      return reaches(asker.requester, asker.reach, graph.tenant);
    });
  } else {
    scheduler::Cluster past;
    const auto cluster = find(asker, request.getGraph(), past);
    if (!cluster) return tl::unexpected(cluster.error());
    const JobsPage page{request.getLimit(), to_text(request.getAfter()), to_text(request.getState()),
                        to_text(request.getJob())};
    write_status(to, **cluster, GraphId{request.getGraph()}, page, from_.progress, {now, from_.clock.wall()});
  }
  answer(asker, builder);
  return {};
}

Result<void> Requests::logs(const Asker& asker, wire::LogRequest::Reader request) {
  const JobKey key{GraphId{request.getGraph()}, JobName{to_text(request.getJob())}};
  scheduler::Cluster past;
  const auto cluster = find(asker, key.graph.value, past);
  if (!cluster) return tl::unexpected(cluster.error());
  const scheduler::Job* job = scheduler::find_job(**cluster, key);
  if (job == nullptr) return tl::unexpected(no_job(key.graph.value, key.job.value));
  const std::uint32_t newest = static_cast<std::uint32_t>(job->attempts.size());
  const std::uint32_t number = request.getAttempt() == 0 ? newest : request.getAttempt();
  if (number > newest) {
    return fail(Code::kNotFound,
                "job " + key.job.value + " has had " + std::to_string(newest) + " attempts so far");
  }
  capnp::MallocMessageBuilder builder;
  auto chunk = wire::begin(builder, asker.request_id).initLogChunk();
  chunk.setAttempt(number);
  chunk.setOffset(request.getOffset());
  if (number == 0) {
    chunk.setEnded(scheduler::is_terminal(job->state));
    answer(asker, builder);
    return {};
  }
  const scheduler::Attempt& attempt = job->attempts[number - 1];
  if (request.getRank() >= attempt.ranks.size()) {
    return fail(Code::kNotFound, "the attempt has ranks 0 to " + std::to_string(attempt.ranks.size() - 1));
  }
  TRY_ASSIGN(const Logs::Piece piece, from_.logs.read({key, number, request.getRank()}, request.getOffset()),
             "reading the log");
  chunk.setBytes(
      capnp::Data::Reader(reinterpret_cast<const kj::byte*>(piece.bytes.data()), piece.bytes.size()));
  chunk.setNext(piece.next);
  chunk.setEnded(!attempt.is_live() && piece.next >= piece.file_bytes);
  answer(asker, builder);
  return {};
}

Result<void> Requests::cancel(const Asker& asker, wire::Cancel::Reader request, Turn& turn) {
  scheduler::Cluster past;
  const auto cluster = find(asker, request.getGraph(), past);
  if (!cluster) return tl::unexpected(cluster.error());
  const scheduler::Graph* const graph = scheduler::find_graph(**cluster, GraphId{request.getGraph()});
  if (graph->state != scheduler::GraphState::kActive) {
    return fail(Code::kConflict, "graph " + std::to_string(request.getGraph()) +
                                     " has already ended: " + std::string(scheduler::name_of(graph->state)));
  }
  const std::string reason = to_text(request.getReason());
  if (!is_planted(PlantedBug::kLoseCancel))
    turn.events.emplace_back(scheduler::GraphCancelled{graph->id, reason.empty() ? "cancelled" : reason});
  turn.answers.emplace_back([this, asker] { answer_done(asker); });
  return {};
}

Result<void> Requests::nodes(const Asker& asker, Instant now) {
  capnp::MallocMessageBuilder builder;
  write_nodes(wire::begin(builder, asker.request_id), from_.cluster, now,
              from_.options.lease + from_.options.lease_margin);
  answer(asker, builder);
  return {};
}

Result<void> Requests::checkpoints(const Asker& asker, wire::CheckpointsRequest::Reader request) {
  scheduler::Cluster past;
  const auto cluster = find(asker, request.getGraph(), past);
  if (!cluster) return tl::unexpected(cluster.error());
  const scheduler::Graph* const graph = scheduler::find_graph(**cluster, GraphId{request.getGraph()});
  const std::string wanted = to_text(request.getJob());
  if (!wanted.empty() && !graph->jobs.contains(JobName{wanted}))
    return tl::unexpected(no_job(request.getGraph(), wanted));
  std::vector<std::pair<std::string, storage::CheckpointInfo>> found;
  for (const auto& [name, job] : graph->jobs) {
    if (!wanted.empty() && name.value != wanted) continue;
    const std::string run = run_name(JobKey{graph->id, name});
    TRY_ASSIGN(const auto listed, from_.checkpoints.list(run), "listing checkpoints");
    for (const storage::CheckpointInfo& checkpoint : listed) {
      // Runs prune their old ones by themselves.
      std::error_code unreadable;
      if (std::filesystem::exists(checkpoint.path, unreadable)) found.emplace_back(name.value, checkpoint);
    }
  }
  capnp::MallocMessageBuilder builder;
  auto list = wire::begin(builder, asker.request_id).initCheckpoints(static_cast<unsigned>(found.size()));
  for (unsigned i = 0; i < list.size(); ++i) {
    const storage::CheckpointInfo& checkpoint = found[i].second;
    list[i].setGraph(graph->id.value);
    list[i].setJob(found[i].first);
    list[i].setStep(checkpoint.step);
    list[i].setFence(checkpoint.fence.value);
    list[i].setPath(checkpoint.path.string());
    list[i].setHash(checkpoint.hash);
    list[i].setBytes(checkpoint.bytes);
    list[i].setRecordedUnixMs(modified_unix_ms(checkpoint.path));
  }
  answer(asker, builder);
  return {};
}

}  // namespace paddock::coordinator
