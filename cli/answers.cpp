#include "cli/answers.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace paddock::cli {
namespace {

// A rank writes what it likes; of its progress only the documented fields are taken, when they are of their
// type.
Json progress(capnp::Text::Reader text) {
  const std::string line = to_text(text);
  if (line.empty()) return nullptr;
  Json given = Json::parse(line, nullptr, false);
  if (given.is_object() && given.contains("progress")) given = Json(given["progress"]);
  if (!given.is_object()) return nullptr;
  Json json = Json::object();
  for (const char* key : {"step", "steps", "loss", "rate", "seconds_left", "quarantined"}) {
    if (given.contains(key) && given[key].is_number()) json[key] = given[key];
  }
  for (const char* key : {"phase", "unit", "loss_of", "health"}) {
    if (given.contains(key) && given[key].is_string()) json[key] = given[key];
  }
  return json;
}

Json to_json(wire::Artifact::Reader artifact) {
  return {{"name", to_text(artifact.getName())},
          {"path", to_text(artifact.getPath())},
          {"hash", to_text(artifact.getHash())}};
}

Json to_json(wire::Status::Attempt::Reader attempt) {
  Json pids = Json::array();
  for (const auto pid : attempt.getPids()) pids.push_back(pid);
  return {{"attempt", attempt.getNumber()},
          {"fence", attempt.getFence()},
          {"outcome", to_text(attempt.getOutcome())},
          {"reason", to_text(attempt.getReason())},
          {"nodes", texts(attempt.getNodes())},
          {"pids", std::move(pids)},
          {"started_unix_ms", moment(attempt.getStartedUnixMs())},
          {"ended_unix_ms", moment(attempt.getEndedUnixMs())},
          {"start_reason", to_text(attempt.getStartReason())}};
}

Json to_json(wire::Status::Job::Reader job) {
  Json artifacts = Json::array();
  for (const auto artifact : job.getArtifacts()) artifacts.push_back(to_json(artifact));
  Json attempts = Json::array();
  for (const auto attempt : job.getAttempts()) attempts.push_back(to_json(attempt));
  return {{"job", to_text(job.getName())},
          {"kind", to_text(job.getKind())},
          {"state", to_text(job.getState())},
          {"reason", to_text(job.getReason())},
          {"cached", job.getCached()},
          {"attempt", job.getAttempt()},
          {"fence", job.getFence()},
          {"nodes", texts(job.getNodes())},
          {"started_unix_ms", moment(job.getStartedUnixMs())},
          {"ended_unix_ms", moment(job.getEndedUnixMs())},
          {"progress", progress(job.getProgress())},
          {"artifacts", std::move(artifacts)},
          {"attempts", std::move(attempts)}};
}

}  // namespace

Json texts(capnp::List<capnp::Text>::Reader list) {
  Json json = Json::array();
  for (const auto text : list) json.push_back(to_text(text));
  return json;
}

Json moment(std::int64_t unix_ms) {
  return unix_ms == 0 ? Json() : Json(unix_ms);
}

std::string to_text(capnp::Text::Reader text) {
  return std::string(text.begin(), text.size());
}

Json to_json(wire::Status::Graph::Reader graph) {
  Json jobs = Json::array();
  for (const auto job : graph.getJobs()) jobs.push_back(to_json(job));
  Json counts = Json::object();
  for (const auto count : graph.getCounts()) counts[to_text(count.getState())] = count.getJobs();
  return {{"graph", graph.getId()},
          {"name", to_text(graph.getName())},
          {"schedule", to_text(graph.getSchedule())},
          {"counts", std::move(counts)},
          {"next", graph.getNext().size() == 0 ? Json() : Json(to_text(graph.getNext()))},
          {"tenant", to_text(graph.getTenant())},
          {"state", to_text(graph.getState())},
          {"submitted_unix_ms", moment(graph.getSubmittedUnixMs())},
          {"ended_unix_ms", moment(graph.getEndedUnixMs())},
          {"jobs", std::move(jobs)}};
}

Json to_json(wire::Planned::Job::Reader job) {
  const Json with = Json::parse(to_text(job.getWith()), nullptr, false);
  return {{"job", to_text(job.getName())},
          {"kind", to_text(job.getKind())},
          {"needs", texts(job.getNeeds())},
          {"ranks", job.getRanks()},
          {"placement", to_text(job.getPlacement())},
          {"cached", job.getCached()},
          {"with", with.is_discarded() ? Json() : with}};
}

Json to_json(wire::Node::Reader node) {
  Json labels = Json::object();
  for (const auto label : node.getLabels()) labels[to_text(label.getName())] = to_text(label.getValue());
  Json gpus = Json::array();
  for (const auto gpu : node.getGpus()) {
    gpus.push_back({{"uuid", to_text(gpu.getUuid())},
                    {"model", to_text(gpu.getModel())},
                    {"memory_bytes", gpu.getMemoryBytes()},
                    {"fault", gpu.getFault().size() == 0 ? Json() : Json(to_text(gpu.getFault()))}});
  }
  return {{"node", to_text(node.getName())},
          {"address", to_text(node.getAddress())},
          {"state", to_text(node.getState())},
          {"cpus", node.getCpus()},
          {"cpus_free", node.getCpusFree()},
          {"memory_bytes", node.getMemoryBytes()},
          {"memory_bytes_free", node.getMemoryBytesFree()},
          {"gpus", std::move(gpus)},
          {"attempts", texts(node.getAttempts())},
          {"last_seen_ms_ago", node.getLastSeenMsAgo()},
          {"reason", to_text(node.getReason())},
          {"labels", std::move(labels)}};
}

Json to_json(wire::Checkpoint::Reader checkpoint) {
  return {
      {"graph", checkpoint.getGraph()},        {"job", to_text(checkpoint.getJob())},
      {"step", checkpoint.getStep()},          {"fence", checkpoint.getFence()},
      {"path", to_text(checkpoint.getPath())}, {"hash", to_text(checkpoint.getHash())},
      {"bytes", checkpoint.getBytes()},        {"recorded_unix_ms", moment(checkpoint.getRecordedUnixMs())}};
}

Result<Json> graphs(Connection& connection, bool patiently) {
  const auto fill = [](wire::Message::Builder message) { message.initStatusRequest(); };
  const auto answer = patiently ? connection.ask_until_answered(wire::Message::STATUS, fill)
                                : connection.ask(wire::Message::STATUS, fill);
  if (!answer) return tl::unexpected<Error>(answer.error());
  Json json = Json::array();
  for (const auto graph : answer->message().getStatus().getGraphs()) json.push_back(to_json(graph));
  return json;
}

Result<Json> graph_with(Connection& connection, std::uint64_t id, const JobsWanted& wanted) {
  Json whole;
  std::string after = wanted.after;
  while (true) {
    const std::size_t missing = wanted.limit - (whole.is_null() ? 0 : whole["jobs"].size());
    const auto fill = [&](wire::Message::Builder message) {
      auto request = message.initStatusRequest();
      request.setGraph(id);
      request.setLimit(static_cast<std::uint32_t>(std::min<std::size_t>(missing, 1'000'000)));
      request.setAfter(after);
      request.setState(wanted.state);
      request.setJob(wanted.job);
    };
    const auto answer = wanted.patiently ? connection.ask_until_answered(wire::Message::STATUS, fill)
                                         : connection.ask(wire::Message::STATUS, fill);
    if (!answer) return tl::unexpected<Error>(answer.error());
    const auto found = answer->message().getStatus().getGraphs();
    if (found.size() == 0) return fail(Code::kNotFound, "there is no graph " + std::to_string(id));
    Json page = to_json(found[0]);
    if (!whole.is_null()) {
      Json jobs = std::move(whole["jobs"]);
      for (Json& job : page["jobs"]) jobs.push_back(std::move(job));
      page["jobs"] = std::move(jobs);
    }
    whole = std::move(page);
    if (whole["next"].is_null() || whole["jobs"].size() >= wanted.limit) return whole;
    after = whole["next"].get<std::string>();
  }
}

std::uint64_t jobs_of(const Json& graph) {
  std::uint64_t jobs = 0;
  for (const Json& count : graph["counts"]) jobs += count.get<std::uint64_t>();
  return jobs;
}

std::string counts_text(const Json& graph) {
  const std::uint64_t jobs = jobs_of(graph);
  std::string text = text_of(graph, "state") + ", " + std::to_string(jobs) + (jobs == 1 ? " job" : " jobs");
  const char* between = ": ";
  for (const auto& [state, count] : graph["counts"].items()) {
    text += between + count.dump() + " " + state;
    between = ", ";
  }
  return text;
}

Result<std::uint64_t> find_graph(Connection& connection, const std::string& number_or_name, bool patiently) {
  std::uint64_t number = 0;
  const char* end = number_or_name.data() + number_or_name.size();
  if (const auto [stop, error] = std::from_chars(number_or_name.data(), end, number);
      error == std::errc() && stop == end) {
    if (number == 0) return fail(Code::kNotFound, "graphs are numbered from 1");
    return number;
  }
  const auto all = graphs(connection, patiently);
  if (!all) return tl::unexpected<Error>(all.error());
  std::optional<std::uint64_t> newest;
  for (const Json& graph : *all) {
    if (graph["name"] == number_or_name)
      newest = std::max(newest.value_or(0), graph["graph"].get<std::uint64_t>());
  }
  if (!newest)
    return fail(Code::kNotFound, "no graph is called " + number_or_name + "; `paddock status` lists them");
  return *newest;
}

Result<AboutGraph> ask_about(const Target& target, const std::string& number_or_name,
                             wire::Message::Which expected,
                             const std::function<void(wire::Message::Builder, std::uint64_t)>& fill) {
  auto connection = Connection::open(target);
  if (!connection) return tl::unexpected<Error>(connection.error());
  const auto graph = find_graph(*connection, number_or_name);
  if (!graph) return tl::unexpected<Error>(graph.error());
  auto answer = connection->ask(expected, [&](wire::Message::Builder message) { fill(message, *graph); });
  if (!answer) return tl::unexpected<Error>(answer.error());
  return AboutGraph{*graph, *std::move(answer)};
}

}  // namespace paddock::cli
