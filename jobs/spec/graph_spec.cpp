#include "jobs/spec/graph_spec.h"

#include <algorithm>
#include <set>

#include "base/limits.h"
#include "jobs/spec/cron.h"

namespace paddock::spec {
namespace {

// Any JSON map: what it must hold is the job kind's business.
Rule<Json> map_rule() {
  Rule<Json> rule;
  rule.allowed = "a map";
  rule.schema = Json{{"type", "object"}};
  rule.read = [](const Json& json) { return json.is_object() ? std::optional(json) : std::nullopt; };
  return rule;
}

// A text for all needs, or a map for some.
Rule<Edges> edges_rule() {
  const Rule<std::string> each = text_rule({"success", "failure", "always"});
  Rule<Edges> rule;
  rule.allowed = each.allowed + ", or a map from needs to these";
  rule.schema = Json{{"anyOf", {each.schema, {{"type", "object"}, {"additionalProperties", each.schema}}}}};
  rule.read = [each](const Json& json) -> std::optional<Edges> {
    if (const auto all = each.read(json)) return Edges{*all, {}};
    if (!json.is_object()) return std::nullopt;
    Edges edges;
    for (const auto& [need, on] : json.items()) {
      const auto edge = each.read(on);
      if (!edge) return std::nullopt;
      edges.of[need] = *edge;
    }
    return edges;
  };
  rule.write = [](const Edges& edges) { return edges.of.empty() ? Json(edges.others) : Json(edges.of); };
  return rule;
}

OptionTable<Condition> condition_table() {
  return OptionTable<Condition>()
      .optional("made", &Condition::made, Anything{}, "${job.artifact}: only if that job has made it")
      .optional("not_made", &Condition::not_made, Anything{},
                "${job.artifact}: only if that job has not made it");
}

OptionTable<Resources> resources_table() {
  constexpr auto kRanksMax = static_cast<std::int64_t>(limits::kRanksPerAttemptMax);
  return OptionTable<Resources>()
      .optional("nodes", &Resources::nodes, Between{std::int64_t{1}, kRanksMax},
                "machines, all of them at once or none")
      .optional("ranks_per_node", &Resources::ranks_per_node, Between{std::int64_t{1}, kRanksMax},
                "processes on each node; without it one a GPU, or one where there are none")
      .optional("gpus", &Resources::gpus, Between{0, 1024}, "of each node, shared out evenly to its ranks")
      .optional("cpus", &Resources::cpus, Between{1, 4096}, "cores of each rank")
      .optional("memory", &Resources::memory, Between{ByteSize{0}, ByteSize{1ull << 50}},
                "of each rank; it is ended when it takes more; 0B: no limit and nothing set aside")
      .optional("nodes_min", &Resources::nodes_min, Between{std::int64_t{1}, kRanksMax},
                "begins when it can have so many nodes, and takes more, up to `nodes`, after a checkpoint")
      .optional("gpu_kind", &Resources::gpu_kind, "a part of the GPU's name, like H100")
      .optional("gpu_memory", &Resources::gpu_memory, Between{ByteSize{0}, ByteSize{1ull << 50}},
                "of each GPU, at least")
      .optional("labels", &Resources::labels, "that a node must have, name → value; \"\": any value")
      .optional("avoid", &Resources::avoid, "labels that a node must not have, name → value; \"\": any value")
      .optional("apart", &Resources::apart, "jobs of the graph with the same text here share no node")
      .check([](const Resources& resources, Problems& problems) {
        if (resources.nodes_min && *resources.nodes_min > resources.nodes) {
          problems.push_back({"nodes_min", "is " + std::to_string(*resources.nodes_min) +
                                               ", must be at most nodes (" + std::to_string(resources.nodes) +
                                               ")"});
        }
        if (resources.gpus == 0 && (!resources.gpu_kind.empty() || resources.gpu_memory.bytes > 0))
          problems.push_back({"gpus", "is 0, must be at least 1 where a kind of GPU is asked for"});
        const std::int64_t ranks = resources.ranks_on_a_node();
        if (resources.gpus > 0 && resources.gpus % ranks != 0) {
          problems.push_back({"gpus", "is " + std::to_string(resources.gpus) +
                                          ", must be a multiple of ranks_per_node (" + std::to_string(ranks) +
                                          ")"});
        }
        if (resources.ranks() > kRanksMax) {
          problems.push_back({"", "asks for " + std::to_string(resources.ranks()) +
                                      " ranks, must be at most " + std::to_string(kRanksMax)});
        }
      });
}

bool is_failure_class(const std::string& text) {
  static const std::set<std::string> kPlain{"time_limit", "out_of_memory", "signal", "exit"};
  if (kPlain.contains(text)) return true;
  const std::string number = text.starts_with("exit:") ? text.substr(5) : "";
  return !number.empty() && number.size() <= 3 &&
         number.find_first_not_of("0123456789") == std::string::npos && std::stoi(number) >= 1 &&
         std::stoi(number) <= 255;
}

Rule<std::vector<std::string>> failure_classes_rule() {
  Rule<std::vector<std::string>> rule = RuleFor<std::vector<std::string>>::make(Anything{});
  rule.allowed = "a list of time_limit, out_of_memory, signal, exit, or exit:N with N from 1 to 255";
  rule.schema = Json{
      {"type", "array"},
      {"items", {{"type", "string"}, {"pattern", "^(time_limit|out_of_memory|signal|exit(:[0-9]{1,3})?)$"}}}};
  rule.read = [read = rule.read](const Json& json) {
    auto classes = read(json);
    if (classes && !std::ranges::all_of(*classes, is_failure_class)) classes.reset();
    return classes;
  };
  return rule;
}

OptionTable<Retry> retry_table() {
  return OptionTable<Retry>()
      .optional("limit", &Retry::limit, Between{0, limits::kRetriesMax},
                "failed attempts that are followed by another; lost nodes do not count")
      .optional("backoff", &Retry::backoff, Between{Millis(0), limits::kBackoffMax},
                "pause before the second attempt")
      .optional("factor", &Retry::factor, Between{1.0, 10.0},
                "each later pause is this much longer, up to an hour")
      .optional("not_on", &Retry::not_on, failure_classes_rule(),
                "failures that are not followed by another attempt");
}

OptionTable<JobSpec> make_job_table() {
  return OptionTable<JobSpec>()
      .required("kind", &JobSpec::kind, "what the job does")
      .optional("needs", &JobSpec::needs, "jobs that come first; references add theirs by themselves")
      .optional("with", &JobSpec::with, map_rule(), "options of the kind")
      .group("resources", &JobSpec::resources, resources_table(), "what its ranks run on")
      .group("retry", &JobSpec::retry, retry_table(), "what happens after a failure")
      .optional("grace", &JobSpec::grace, Between{Millis(0), Millis(std::chrono::hours(1))},
                "between the request to stop (SIGTERM) and the end (SIGKILL)")
      .optional("command", &JobSpec::command,
                "kind command: program and arguments; no shell unless you name one")
      .optional("environment", &JobSpec::environment, "variables added to those of docs/rank-protocol.md")
      .optional(
          "on", &JobSpec::on, edges_rule(),
          "what it waits for in the jobs it needs; failure: one failed, or was skipped because of a failure")
      .group("if", &JobSpec::condition, condition_table(), "runs only if this holds; else it is skipped")
      .optional("time_limit", &JobSpec::time_limit, Between{Millis(1'000), Millis(limits::kTimeLimitMax)},
                "of each attempt; one that takes longer is ended and has failed")
      .optional("preemptible", &JobSpec::preemptible,
                "may be asked to save itself and make room for a job of higher priority; without it true for "
                "all kinds but command")
      .optional("cache", &JobSpec::cache,
                "false: is run though its result is there already, and shares it with nobody");
}

OptionTable<GraphSchedule> make_schedule_table() {
  return OptionTable<GraphSchedule>()
      .required(
          "cron", &GraphSchedule::cron,
          "minute, hour, day of the month, month, day of the week; or @hourly, @daily, @weekly, @monthly, "
          "@yearly")
      .optional("tz", &GraphSchedule::tz, "time zone of these, like Europe/Berlin")
      .optional("missed", &GraphSchedule::missed, OneOf{"skip", "latest", "all"},
                "times that passed while no coordinator ran: none of them is made up for, the latest, or all "
                "(the " +
                    std::to_string(limits::kMissedRunsMax) + " latest at most)")
      .optional(
          "overlap", &GraphSchedule::overlap, OneOf{"skip", "queue", "replace"},
          "where the run before still goes: the new one is not run, begins after it, or takes its place")
      .optional("deadline", &GraphSchedule::deadline, Between{Millis(1'000), Millis(limits::kTimeLimitMax)},
                "a run that could only begin later than this is not run")
      .check([](const GraphSchedule& schedule, Problems& problems) {
        if (const auto cron = parse_cron(schedule.cron); !cron)
          problems.push_back({"cron", cron.error().message});
        if (const auto zone = TimeZone::find(schedule.tz); !zone)
          problems.push_back({"tz", zone.error().message});
      });
}

// Depth-first over `needs` without recursion: a graph may be one long chain.
enum class Mark { kNew, kOpen, kDone };

}  // namespace

const OptionTable<JobSpec>& job_table() {
  static const auto table = make_job_table();
  return table;
}

const OptionTable<GraphSchedule>& graph_schedule_table() {
  static const auto table = make_schedule_table();
  return table;
}

Json to_json(const JobSpec& job) {
  Json json = job_table().to_json(job);
  json["name"] = job.name;
  return json;
}

Json changed_json(const JobSpec& job) {
  Json json = job_table().changed_json(job);
  json["name"] = job.name;
  return json;
}

Result<JobSpec> job_from_json(const Json& json) {
  if (!json.is_object() || !json.contains("name") || !json["name"].is_string()) {
    return fail(Code::kCorrupt, "the record of a job has no name");
  }
  Json keys = json;
  const auto name = keys["name"].get<std::string>();
  keys.erase("name");
  auto job = job_table().parse(keys);
  if (!job) {
    const Problem& first = job.error().front();
    return fail(Code::kCorrupt, "the record of job " + name + ": " + first.path + ": " + first.message);
  }
  job->name = name;
  return *std::move(job);
}

Json to_json(const GraphSpec& graph) {
  Json jobs = Json::array();
  for (const JobSpec& job : graph.jobs) jobs.push_back(to_json(job));
  Json json{{"name", graph.name},
            {"tenant", graph.tenant},
            {"priority", graph.priority},
            {"jobs", std::move(jobs)}};
  if (graph.schedule) json["schedule"] = graph_schedule_table().to_json(*graph.schedule);
  return json;
}

Result<GraphSpec> graph_from_json(const Json& json) {
  const auto has = [&](const char* key, auto is_right) { return json.contains(key) && is_right(json[key]); };
  if (!json.is_object() || !has("name", [](const Json& j) { return j.is_string(); }) ||
      !has("tenant", [](const Json& j) { return j.is_string(); }) ||
      !has("priority", [](const Json& j) { return j.is_number_integer(); }) ||
      !has("jobs", [](const Json& j) { return j.is_array(); })) {
    return fail(Code::kCorrupt, "the record of a graph lacks name, tenant, priority or jobs");
  }
  GraphSpec graph;
  graph.name = json["name"].get<std::string>();
  graph.tenant = json["tenant"].get<std::string>();
  graph.priority = json["priority"].get<std::int64_t>();
  for (const Json& each : json["jobs"]) {
    TRY_ASSIGN(JobSpec job, job_from_json(each), "reading graph " + graph.name);
    graph.jobs.push_back(std::move(job));
  }
  if (!json.contains("schedule")) return graph;
  auto schedule = graph_schedule_table().parse(json["schedule"]);
  if (!schedule) {
    const Problem& first = schedule.error().front();
    return fail(Code::kCorrupt,
                "the schedule of graph " + graph.name + ": " + first.path + ": " + first.message);
  }
  graph.schedule = *std::move(schedule);
  return graph;
}

std::vector<std::string> find_cycle(const std::vector<JobSpec>& jobs) {
  if (std::ranges::all_of(jobs, &std::vector<std::string>::empty, &JobSpec::needs)) return {};
  std::map<std::string_view, std::size_t> index;
  for (std::size_t i = 0; i < jobs.size(); ++i) index.emplace(jobs[i].name, i);
  std::vector<Mark> marks(jobs.size(), Mark::kNew);
  struct Step {
    std::size_t job;
    std::size_t next_need = 0;
  };
  for (std::size_t start = 0; start < jobs.size(); ++start) {
    if (marks[start] != Mark::kNew) continue;
    std::vector<Step> path = {{start}};
    marks[start] = Mark::kOpen;
    while (!path.empty()) {
      Step& step = path.back();
      const JobSpec& job = jobs[step.job];
      if (step.next_need == job.needs.size()) {
        marks[step.job] = Mark::kDone;
        path.pop_back();
        continue;
      }
      const auto need = index.find(job.needs[step.next_need++]);
      if (need == index.end() || marks[need->second] == Mark::kDone) continue;
      if (marks[need->second] == Mark::kNew) {
        marks[need->second] = Mark::kOpen;
        path.push_back({need->second});
        continue;
      }
      auto from =
          std::find_if(path.begin(), path.end(), [&](const Step& each) { return each.job == need->second; });
      std::vector<std::string> cycle;
      for (; from != path.end(); ++from) cycle.push_back(jobs[from->job].name);
      cycle.push_back(jobs[need->second].name);
      return cycle;
    }
  }
  return {};
}

}  // namespace paddock::spec
