#include "jobs/spec/parse.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "base/ids.h"
#include "base/limits.h"
#include "jobs/spec/document.h"
#include "jobs/spec/job_kinds.h"
#include "jobs/spec/matrix.h"
#include "jobs/spec/recipes.h"
#include "jobs/spec/references.h"

namespace paddock::spec {
namespace {

struct Head {
  std::string graph;
  std::string tenant = GraphSpec().tenant;
  std::int64_t priority = 0;
  std::int64_t jobs = 0;  // how many; they are read one by one
  Json schedule;          // null: none
};

Rule<std::int64_t> jobs_rule() {
  Rule<std::int64_t> rule;
  rule.allowed = "a map from names to jobs, 1 to " + std::to_string(limits::kJobsPerGraphMax);
  rule.schema = Json{{"type", "object"}};
  rule.read = [](const Json& json) -> std::optional<std::int64_t> {
    if (!json.is_object() || json.empty() || json.size() > limits::kJobsPerGraphMax) return std::nullopt;
    return static_cast<std::int64_t>(json.size());
  };
  return rule;
}

Rule<std::string> name_rule() {
  Rule<std::string> rule = text_rule({});
  rule.allowed = name_allowed();
  rule.schema["maxLength"] = limits::kNameBytesMax;
  rule.schema["pattern"] = "^[A-Za-z0-9_-][A-Za-z0-9._-]*$";
  rule.read = [](const Json& json) -> std::optional<std::string> {
    if (!json.is_string() || !is_name(json.get_ref<const std::string&>())) return std::nullopt;
    return json.get<std::string>();
  };
  return rule;
}

// Looked into by its own table: as a text it is the `cron` of it.
Rule<Json> schedule_rule() {
  Rule<Json> rule;
  rule.allowed =
      "a text like `0 2 * * *`, or a map with the keys " + enumerate(graph_schedule_table().keys());
  rule.schema =
      Json{{"anyOf", {{{"type", "string"}}, graph_schedule_table().json_schema(), {{"type", "null"}}}}};
  rule.read = [](const Json& json) {
    return json.is_object() || json.is_string() || json.is_null() ? std::optional(json) : std::nullopt;
  };
  return rule;
}

const OptionTable<Head>& head_table() {
  static const auto table =
      OptionTable<Head>()
          .required("graph", &Head::graph, name_rule(), "name of the graph; need not be unique")
          .optional("tenant", &Head::tenant, name_rule(), "who is charged")
          .optional("priority", &Head::priority, Between{-1000, 1000},
                    "of two graphs that wait, the higher goes first")
          .required("jobs", &Head::jobs, jobs_rule(), "the jobs by name")
          .optional("schedule", &Head::schedule, schedule_rule(),
                    "runs it again and again instead of once; a text is the `cron` of the map");
  return table;
}

class Checker {
 public:
  explicit Checker(Document document) : document_(std::move(document)) {}

  std::optional<GraphSpec> check() {
    const auto head = head_table().parse(document_.value);
    if (!head) add("", head.error());
    // The jobs are looked at even when the head is wrong, so that everything is told at once.
    const bool has_jobs = document_.value.is_object() && document_.value.contains("jobs");
    Json jobs = Json::object();
    if (has_jobs && document_.value["jobs"].is_object()) jobs = std::move(document_.value["jobs"]);
    GraphSpec graph;
    if (document_.value.is_object() && document_.value.contains("schedule"))
      graph.schedule = check_schedule(document_.value["schedule"]);
    if (jobs.size() <= limits::kJobsPerGraphMax) {
      jobs_ = expand_matrices(std::move(jobs), document_.order["jobs"], problems_);
      graph.jobs.reserve(jobs_.jobs.size());
      for (const ExpandedJob& job : jobs_.jobs) {
        if (!has_enough()) check_job(job, graph.jobs);
      }
    }
    if (const auto cycle = find_cycle(graph.jobs); !cycle.empty()) add_cycle(cycle);
    if (!head || !problems_.empty()) return std::nullopt;
    graph.name = head->graph;
    graph.tenant = head->tenant;
    graph.priority = head->priority;
    return graph;
  }

  // One line a problem, in the order of the file.
  std::string message(const std::string& file) const {
    std::vector<std::pair<int, std::string>> lines;
    for (const Problem& problem : problems_) {
      const int line = document_.line_of(problem.path);
      const std::string key = problem.path.empty() ? "the graph" : problem.path;
      lines.emplace_back(line, file + ":" + std::to_string(line) + ": " + key + ": " + problem.message);
    }
    std::stable_sort(lines.begin(), lines.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::string text;
    for (std::size_t i = 0; i < lines.size() && i < kProblemsMax; ++i)
      text += (i > 0 ? "\n" : "") + lines[i].second;
    if (lines.size() > kProblemsMax) text += "\n" + file + ": and more problems";
    return text;
  }

 private:
  // Bounds the work as well as the message: the coordinator parses in its one thread.
  static constexpr std::size_t kProblemsMax = 200;
  static constexpr std::size_t kJobsSuggestedFromMax = 500;

  bool has_enough() const { return problems_.size() > kProblemsMax; }

  void add(std::string_view parent, const Problems& problems) {
    for (const Problem& problem : problems) add(join_path(parent, problem.path), problem.message);
  }
  // Jobs of one matrix have the same faults at the same place: each is told once.
  void add(std::string path, std::string message) {
    Problem problem{std::move(path), std::move(message)};
    if (!jobs_.has_matrix || std::ranges::find(problems_, problem) == problems_.end())
      problems_.push_back(std::move(problem));
  }

  std::optional<GraphSchedule> check_schedule(const Json& given) {
    if (!given.is_object() && !given.is_string()) return std::nullopt;  // told by the head's own table
    auto schedule = graph_schedule_table().parse(given.is_string() ? Json{{"cron", given}} : given);
    if (schedule) return *std::move(schedule);
    add("schedule", schedule.error());
    return std::nullopt;
  }

  void add_cycle(const std::vector<std::string>& cycle) {
    std::string text;
    for (const std::string& job : cycle) text += (text.empty() ? "" : " → ") + job;
    add("jobs." + cycle.front() + ".needs",
        "makes a circle: " + text + "; must lead from earlier jobs to later ones only");
  }

  void check_job(const ExpandedJob& given, std::vector<JobSpec>& jobs) {
    const std::string path = "jobs." + given.written;
    if (!is_name(given.name)) add(path, "is not a name, must be " + name_allowed());
    const Json& json = given.json;
    auto job = job_table().parse(json);
    if (!job) add(path, job.error());
    std::optional<Json> with;
    if (json.is_object() && json.contains("kind") && json["kind"].is_string()) with = check_kind(path, json);
    // Needs and references are looked at even when other keys are wrong.
    const bool is_right = job.has_value();
    JobSpec readable = is_right ? *std::move(job) : readable_part(json);
    readable.name = given.name;
    if (with) readable.with = *std::move(with);
    if (!json.is_object() || !json.contains("preemptible")) {
      const JobKind* kind = find_job_kind(readable.kind);
      readable.preemptible = kind != nullptr && kind->is_cacheable;  // those go on from what they have saved
    }
    check_needs(path, readable);
    check_references(path, given, readable);
    check_condition(path, readable);
    check_edges(path, readable);
    if (is_right) jobs.push_back(std::move(readable));
  }

  // Of a job with wrong keys, those that may hold needs and references and are right.
  static JobSpec readable_part(const Json& json) {
    Json part{{"kind", ""}};
    for (const char* key : {"needs", "with", "command", "environment", "on", "if"}) {
      if (!json.is_object() || !json.contains(key)) continue;
      Json with_key = part;
      with_key[key] = json[key];
      if (job_table().parse(with_key)) part = std::move(with_key);
    }
    return job_table().parse(part).value_or(JobSpec());
  }

  // The options of the kind, resolved.
  std::optional<Json> check_kind(const std::string& path, const Json& job) {
    const auto name = job["kind"].get<std::string>();
    const JobKind* kind = find_job_kind(name);
    if (kind == nullptr) {
      std::string text = "is " + shown(name) + ", must be one of: " + enumerate(job_kind_names());
      if (const auto meant = nearest(name, job_kind_names())) text += "; did you mean `" + *meant + "`?";
      add(path + ".kind", std::move(text));
      return std::nullopt;
    }
    const bool has_command = job.contains("command") && !job["command"].empty();
    if (name == kCommandKind && !has_command) {
      add(path + ".command", "is missing, must be a list: the program and its arguments");
    }
    if (name != kCommandKind && has_command) {
      add(path + ".command", "is only for jobs of kind command; the options of " + name + " go into `with`");
    }
    const Json given = job.contains("with") ? job["with"] : Json::object();
    if (!given.is_object()) return std::nullopt;  // told by the job's own table
    if (name == kCommandKind && !given.empty()) {
      add(path + ".with", "is not for jobs of kind command; use `command` and `environment`");
      return std::nullopt;
    }
    auto options = resolve_options(*kind, given);
    if (!options) {
      add(path + ".with", options.error());
      return std::nullopt;
    }
    return *std::move(options);
  }

  void check_needs(const std::string& path, const JobSpec& job) {
    std::set<std::string> seen;
    for (const std::string& need : job.needs) {
      if (has_enough()) return;
      if (need == job.name)
        add(path + ".needs", "names the job itself");
      else if (jobs_.find(need) == nullptr)
        add(path + ".needs", unknown_job(need));
      else if (!seen.insert(need).second)
        add(path + ".needs", "names `" + need + "` twice");
    }
  }

  // Also adds the jobs referred to, to the needs.
  void check_references(const std::string& path, const ExpandedJob& given, JobSpec& job) {
    check_syntax(path + ".with", job.with);
    std::set<std::string> needs(job.needs.begin(), job.needs.end());
    for (const Reference& reference : references_of(job)) {
      if (has_enough()) return;
      const std::string problem = problem_of(job, reference);
      if (!problem.empty()) {
        add(where_used(path, given.json, reference),
            "`${" + reference.job + "." + reference.artifact + "}`" + problem);
      } else if (needs.insert(reference.job).second) {
        job.needs.push_back(reference.job);
      }
    }
  }

  // What the condition refers to becomes a need as well.
  void check_condition(const std::string& path, JobSpec& job) {
    const std::pair<const char*, const std::optional<std::string>&> texts[] = {
        {".if.made", job.condition.made}, {".if.not_made", job.condition.not_made}};
    for (const auto& [key, text] : texts) {
      if (!text) continue;
      const auto reference = condition_reference(*text);
      if (!reference) {
        add(path + key, "is " + shown(*text) + ", must be ${job.artifact}");
      } else if (const std::string problem = problem_of(job, *reference); !problem.empty()) {
        add(path + key, "`" + *text + "`" + problem);
      } else if (std::ranges::find(job.needs, reference->job) == job.needs.end()) {
        job.needs.push_back(reference->job);
      }
    }
  }

  void check_edges(const std::string& path, const JobSpec& job) {
    for (const auto& [need, on] : job.on.of) {
      if (std::ranges::find(job.needs, need) == job.needs.end())
        add(path + ".on", "names `" + need + "`, which the job does not need; must name its needs");
    }
  }

  // What is wrong with a reference; empty: nothing.
  std::string problem_of(const JobSpec& job, const Reference& reference) const {
    if (reference.job == job.name) return " refers to the job itself";
    const Json* const target = jobs_.find(reference.job);
    if (target == nullptr) return ": " + unknown_job(reference.job);
    if (!target->is_object() || !target->contains("kind") || !(*target)["kind"].is_string()) return "";
    const JobKind* kind = find_job_kind((*target)["kind"].get<std::string>());
    if (kind == nullptr) return "";
    const auto known = artifacts_of(*kind, *target);
    if (known.empty() || std::find(known.begin(), known.end(), reference.artifact) != known.end()) return "";
    std::vector<std::string> of_each;
    std::ranges::copy_if(known, std::back_inserter(of_each),
                         [&](const std::string& name) { return name.starts_with(reference.artifact + "-"); });
    if (!of_each.empty())
      return ": the job makes one for each of its students, must be one of: " + enumerate(of_each);
    std::string text =
        ": a job of kind " + kind->name + " has no such artifact, must be one of: " + enumerate(known);
    if (const auto meant = nearest(reference.artifact, known)) text += "; did you mean `" + *meant + "`?";
    return text;
  }

  // Empty: any, or nobody can say.
  static std::vector<std::string> artifacts_of(const JobKind& kind, const Json& job) {
    const Json given = job.contains("with") ? job["with"] : Json::object();
    const auto with = with_recipe(kind.name, given);
    return with && with->is_object() ? kind.artifacts(*with) : std::vector<std::string>();
  }

  void check_syntax(const std::string& path, const Json& value) {
    if (value.is_string()) {
      const auto found = references_in(value.get_ref<const std::string&>(), Place::kOptions);
      if (!found) add(path, found.error().message);
    } else if (value.is_object()) {
      for (const auto& [key, element] : value.items()) check_syntax(join_path(path, key), element);
    } else if (value.is_array()) {
      for (const Json& element : value) check_syntax(path, element);
    }
  }

  // The key whose text holds the reference: the nearest that has a line.
  static std::string where_used(const std::string& path, const Json& job, const Reference& reference) {
    const std::string text = "${" + reference.job + "." + reference.artifact + "}";
    return path_of_text(path, job, text).value_or(path);
  }
  static std::optional<std::string> path_of_text(const std::string& path, const Json& value,
                                                 const std::string& text) {
    if (value.is_string()) {
      return value.get_ref<const std::string&>().find(text) == std::string::npos ? std::nullopt
                                                                                 : std::optional(path);
    }
    if (value.is_object()) {
      for (const auto& [key, element] : value.items()) {
        if (auto found = path_of_text(join_path(path, key), element, text)) return found;
      }
    } else if (value.is_array()) {
      for (const Json& element : value) {
        if (auto found = path_of_text(path, element, text)) return found;
      }
    }
    return std::nullopt;
  }

  // Jobs of one matrix may ask for the same one by the thousand.
  std::string unknown_job(const std::string& name) const {
    const auto [known, is_new] = unknown_.try_emplace(name);
    if (is_new) known->second = describe_unknown(name);
    return known->second;
  }
  std::string describe_unknown(const std::string& name) const {
    if (jobs_.jobs.size() > kJobsSuggestedFromMax)
      return "no job is called " + shown(name) + " of the " + std::to_string(jobs_.jobs.size()) +
             " of the graph";
    std::vector<std::string> names;
    for (const ExpandedJob& job : jobs_.jobs) names.push_back(job.name);
    std::ranges::sort(names);
    std::string text = "no job is called " + shown(name);
    if (const auto meant = nearest(name, names)) return text + "; did you mean `" + *meant + "`?";
    return text + "; there are: " + enumerate(names);
  }

  Document document_;
  ExpandedJobs jobs_;
  mutable std::map<std::string, std::string> unknown_;  // what unknown_job() has said
  Problems problems_;
};

}  // namespace

Result<GraphSpec> parse_graph(std::string_view text, const std::string& file) {
  // What is wrong is told with its line, which the fast reading does not know.
  if (auto document = read_json_document(text)) {
    if (auto graph = Checker(*std::move(document)).check()) return *std::move(graph);
  }
  auto document = read_document(text, file);
  if (!document) return tl::unexpected<Error>(std::move(document).error());
  Checker checker(*std::move(document));
  auto graph = checker.check();
  if (!graph) return fail(Code::kInvalid, checker.message(file));
  return *std::move(graph);
}

Json submission_schema() {
  Json job = job_table().json_schema();
  job["properties"]["kind"]["enum"] = job_kind_names();
  Json cases = Json::array();
  for (const JobKind& kind : job_kinds()) {
    Json then{{"properties", {{"with", kind.schema()}}}, {"description", kind.doc}};
    if (const auto names = recipe_names(kind.name); !names.empty()) {
      then["properties"]["with"]["properties"][std::string(kRecipeKey)] = Json{
          {"enum", names}, {"description", "options of that name lie below those given (`paddock recipes`)"}};
    }
    if (kind.name == kCommandKind)
      then["required"] = Json::array({"command"});
    else if (kind.schema().contains("required"))
      then["required"] = Json::array({"with"});
    cases.push_back(
        Json{{"if", {{"properties", {{"kind", {{"const", kind.name}}}}}}}, {"then", std::move(then)}});
  }
  job["properties"]["matrix"] = matrix_schema();
  job["allOf"] = std::move(cases);
  Json schema = head_table().json_schema();
  Json& jobs = schema["properties"]["jobs"];
  jobs["propertyNames"] = name_rule().schema;
  jobs["minProperties"] = 1;
  jobs["maxProperties"] = limits::kJobsPerGraphMax;
  jobs["additionalProperties"] = std::move(job);
  schema["$schema"] = "https://json-schema.org/draft/2020-12/schema";
  schema["title"] = "A graph of jobs for Paddock";
  return schema;
}

}  // namespace paddock::spec
