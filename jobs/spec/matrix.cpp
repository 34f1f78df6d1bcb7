#include "jobs/spec/matrix.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "base/ids.h"
#include "base/limits.h"
#include "jobs/spec/references.h"

namespace paddock::spec {
namespace {

constexpr const char* kMatrix = "matrix";
constexpr const char* kAllowed =
    "a map from names to lists of values, or to {from: 1, to: 100}, no name and no list empty";

using Values = std::map<std::string, Json>;  // one combination: key → value

std::string text_of(const Json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// As part of a job's name: what a name may not hold becomes "-".
std::string name_part(const Json& value) {
  std::string text = text_of(value);
  std::ranges::replace_if(
      text, [](char c) { return !is_name(std::string("x") + c); }, '-');
  return text;
}

std::optional<std::vector<Json>> values_of(const Json& given) {
  std::vector<Json> values;
  if (given.is_array()) {
    for (const Json& value : given) {
      if (value.is_structured() || value.is_null()) return std::nullopt;
      values.push_back(value);
    }
  } else if (given.is_object() && given.size() == 2 && given.contains("from") && given.contains("to") &&
             given["from"].is_number_integer() && given["to"].is_number_integer()) {
    const auto from = given["from"].get<std::int64_t>();
    const auto to = given["to"].get<std::int64_t>();
    constexpr std::int64_t kFar = 1'000'000'000'000;
    if (from < -kFar || to > kFar || to < from ||
        to - from >= static_cast<std::int64_t>(limits::kJobsPerGraphMax))
      return std::nullopt;
    for (std::int64_t value = from; value <= to; ++value) values.emplace_back(value);
  }
  return values.empty() ? std::nullopt : std::optional(std::move(values));
}

// Every combination, the last key changing fastest.
std::vector<Values> combinations(const std::map<std::string, std::vector<Json>>& axes) {
  std::vector<Values> all{{}};
  for (const auto& [key, values] : axes) {
    std::vector<Values> longer;
    for (const Values& before : all) {
      for (const Json& value : values) {
        longer.push_back(before);
        longer.back()[key] = value;
      }
    }
    all = std::move(longer);
  }
  return all;
}

// Whether a text that is nothing but a value takes the value's type.
enum class Typed { kNo, kYes };

// Puts values in place of `${matrix.KEY}` at any depth.
void fill_in(Json& json, const Values& values, Typed typed, std::set<std::string>& mentioned) {
  if (json.is_structured()) {
    for (Json& element : json) fill_in(element, values, typed, mentioned);
    return;
  }
  if (!json.is_string() || json.get_ref<const std::string&>().find("${matrix.") == std::string::npos) return;
  auto text = json.get<std::string>();
  for (const auto& [key, value] : values) {
    const std::string wanted = "${matrix." + key + "}";
    if (text.find(wanted) != std::string::npos) mentioned.insert(key);
    if (text == wanted && typed == Typed::kYes) {
      json = value;
      return;
    }
    for (std::size_t at = text.find(wanted); at != std::string::npos; at = text.find(wanted, at)) {
      const std::string with = text_of(value);
      text.replace(at, wanted.size(), with);
      at += with.size();
    }
  }
  json = text;
}

class Expansion {
 public:
  Expansion(const Json& jobs, const std::vector<std::string>& order, Problems& problems)
      : jobs_(jobs), order_(order), problems_(problems) {}

  ExpandedJobs run() {
    for (const std::string& name : order_) expand(name);
    // All names are known only now.
    if (!made_.empty()) {
      for (const std::string& name : result_.order) resolve(name);
    }
    return std::move(result_);
  }

 private:
  void problem(const std::string& path, std::string message) {
    Problem found{path, std::move(message)};
    if (std::ranges::find(problems_, found) == problems_.end()) problems_.push_back(std::move(found));
  }

  void add(const std::string& name, Json job) {
    if (result_.jobs.contains(name)) {
      return problem("jobs." + written(name), "makes a second job " + name + ", must make other names");
    }
    result_.jobs[name] = std::move(job);
    result_.order.push_back(name);
  }

  void expand(const std::string& name) {
    const Json& job = jobs_[name];
    if (!job.is_object() || !job.contains(kMatrix)) return add(name, job);
    const std::string path = "jobs." + name + "." + kMatrix;
    std::map<std::string, std::vector<Json>> axes;
    std::size_t size = 1;
    const bool is_map = job[kMatrix].is_object() && !job[kMatrix].empty();
    if (!is_map) return problem(path, "is " + shown(job[kMatrix]) + ", must be " + kAllowed);
    for (const auto& [key, given] : job[kMatrix].items()) {
      auto values = values_of(given);
      if (!values || !is_name(key))
        return problem(path + "." + key, "is " + shown(given) + ", must be " + kAllowed);
      size *= values->size();
      if (result_.order.size() + size > limits::kJobsPerGraphMax) {
        return problem(path, "makes the graph larger than " + std::to_string(limits::kJobsPerGraphMax) +
                                 " jobs, must have fewer combinations");
      }
      axes[key] = *std::move(values);
    }
    for (Values& values : combinations(axes)) {
      std::string full = name;
      for (const auto& [key, value] : values) full += "." + name_part(value);
      result_.written[full] = name;
      add(full, filled(name, job, values));
      made_[name].push_back(full);
      values_[full] = std::move(values);
    }
  }

  Json filled(const std::string& name, const Json& given, const Values& values) {
    Json job = given;
    job.erase(kMatrix);
    std::set<std::string> mentioned;
    for (const char* key : {"with", "resources"}) {
      if (job.contains(key)) fill_in(job[key], values, Typed::kYes, mentioned);
    }
    for (const char* key : {"command", "environment"}) {
      if (job.contains(key)) fill_in(job[key], values, Typed::kNo, mentioned);
    }
    for (const auto& [key, value] : values) {
      if (mentioned.contains(key)) continue;
      const bool has_options =
          job.value("kind", Json()) != "command" && (!job.contains("with") || job["with"].is_object());
      if (!has_options || (job.contains("with") && job["with"].contains(key))) {
        problem("jobs." + name + "." + kMatrix + "." + key,
                "stands nowhere in the job, must be mentioned as ${matrix." + key + "}");
        continue;
      }
      job["with"][key] = value;
    }
    return job;
  }

  // Of the jobs made from `target`, those that agree with the matrix of `name` where both have a key.
  std::vector<std::string> meant(const std::string& name, const std::string& target) const {
    const auto own = values_.find(name);
    std::vector<std::string> agreeing;
    for (const std::string& candidate : made_.at(target)) {
      const Values& theirs = values_.at(candidate);
      const bool agrees = own == values_.end() || std::ranges::all_of(own->second, [&](const auto& entry) {
                            const auto same = theirs.find(entry.first);
                            return same == theirs.end() || same->second == entry.second;
                          });
      if (agrees) agreeing.push_back(candidate);
    }
    return agreeing;
  }

  void resolve(const std::string& name) {
    Json& job = result_.jobs[name];
    if (!job.is_object()) return;
    const std::string path = "jobs." + written(name);
    if (job.contains("needs") && job["needs"].is_array()) resolve_needs(name, job["needs"]);
    if (job.contains("on") && job["on"].is_object()) resolve_edges(name, job["on"]);
    for (const char* key : {"with", "command", "environment", "if"}) {
      if (job.contains(key)) resolve_texts(name, path + "." + key, job[key]);
    }
  }

  void resolve_needs(const std::string& name, Json& needs) {
    Json all = Json::array();
    for (const Json& need : needs) {
      const bool is_made = need.is_string() && made_.contains(need.get<std::string>());
      if (!is_made) all.push_back(need);
      if (!is_made) continue;
      for (const std::string& each : meant(name, need.get<std::string>())) all.push_back(each);
    }
    needs = std::move(all);
  }

  void resolve_edges(const std::string& name, Json& edges) {
    Json all = Json::object();
    for (const auto& [need, on] : edges.items()) {
      if (!made_.contains(need)) all[need] = on;
      if (!made_.contains(need)) continue;
      for (const std::string& each : meant(name, need)) all[each] = on;
    }
    edges = std::move(all);
  }

  void resolve_texts(const std::string& name, const std::string& path, Json& json) {
    if (json.is_string()) {
      const auto target = target_in(json.get_ref<const std::string&>());
      if (!target) return;
      const auto meant_jobs = meant(name, *target);
      if (meant_jobs.size() != 1) {
        problem(path,
                "refers to " + *target + ", which stands for " + enumerate(made_.at(*target)) +
                    "; name one of them, put the reference into a list, or give this job the same matrix");
      }
      // What is wrong is told once: whatever looks at the text later takes it for one of them.
      const std::string& taken = meant_jobs.size() == 1 ? meant_jobs.front() : made_.at(*target).front();
      json = renamed(json.get<std::string>(), *target, taken);
      return resolve_texts(name, path, json);  // a text may refer to several jobs
    }
    if (json.is_object()) {
      for (auto& [key, element] : json.items()) resolve_texts(name, join_path(path, key), element);
    }
    if (!json.is_array()) return;
    Json all = Json::array();
    for (const Json& element : json) {
      const auto target =
          element.is_string() ? target_in(element.get_ref<const std::string&>()) : std::nullopt;
      if (!target) {
        all.push_back(element);
        resolve_texts(name, path, all.back());
        continue;
      }
      for (const std::string& each : meant(name, *target)) {
        all.push_back(renamed(element.get<std::string>(), *target, each));
        resolve_texts(name, path, all.back());
      }
    }
    json = std::move(all);
  }

  // The first job with a matrix that the text refers to.
  std::optional<std::string> target_in(const std::string& text) const {
    if (text.find("${") == std::string::npos) return std::nullopt;
    const auto references = references_in(text, Place::kCommand);
    if (!references) return std::nullopt;
    for (const Reference& reference : *references) {
      if (made_.contains(reference.job)) return reference.job;
    }
    return std::nullopt;
  }

  // Every `${from.artifact}` refers to `to` instead. The last dot splits, so "${from.x.y}" is of another job.
  static std::string renamed(std::string text, const std::string& from, const std::string& to) {
    const std::string start = "${" + from + ".";
    for (std::size_t at = text.find(start); at != std::string::npos; at = text.find(start, at + 1)) {
      const std::size_t end = text.find('}', at);
      const std::size_t artifact = at + start.size();
      if (end == std::string::npos || text.substr(artifact, end - artifact).find('.') != std::string::npos)
        continue;
      text.replace(at + 2, from.size(), to);
      at += to.size();
    }
    return text;
  }

  std::string written(const std::string& name) const {
    const auto found = result_.written.find(name);
    return found == result_.written.end() ? name : found->second;
  }

  const Json& jobs_;
  const std::vector<std::string>& order_;
  Problems& problems_;
  ExpandedJobs result_;
  std::map<std::string, std::vector<std::string>> made_;  // written name → the jobs it stands for
  std::map<std::string, Values> values_;                  // by made name
};

}  // namespace

ExpandedJobs expand_matrices(Json jobs, const std::vector<std::string>& order, Problems& problems) {
  const auto has_matrix = [](const Json& job) { return job.is_object() && job.contains(kMatrix); };
  if (std::ranges::none_of(jobs, has_matrix)) return {std::move(jobs), order, {}};
  return Expansion(jobs, order, problems).run();
}

Json matrix_schema() {
  const Json range{{"type", "object"},
                   {"properties", {{"from", {{"type", "integer"}}}, {"to", {{"type", "integer"}}}}},
                   {"required", {"from", "to"}},
                   {"additionalProperties", false}};
  const Json list{{"type", "array"}, {"minItems", 1}, {"items", {{"type", {"string", "number", "boolean"}}}}};
  return {{"type", "object"},
          {"minProperties", 1},
          {"additionalProperties", {{"anyOf", {list, range}}}},
          {"description",
           "a job for each combination of values, called NAME.VALUE…; ${matrix.KEY} stands for one"}};
}

}  // namespace paddock::spec
