#include "jobs/spec/matrix.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

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
  if (is_name("x" + text)) return text;
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

// What the jobs of a matrix are made from.
struct Family {
  std::vector<std::size_t> jobs;  // indices of what was made
  std::vector<Values> values;     // of each
};

class Expansion {
 public:
  Expansion(Json& jobs, const std::vector<std::string>& order, Problems& problems)
      : jobs_(jobs), order_(order), problems_(problems) {}

  ExpandedJobs run() {
    for (const std::string& name : order_) expand(name);
    // All names are known only now.
    if (!made_.empty()) {
      for (std::size_t index = 0; index < result_.jobs.size(); ++index) resolve(index);
    }
    if (has_too_many_names()) return {};  // what is wrong with the jobs cannot be said
    return std::move(result_);
  }

 private:
  void problem(const std::string& path, std::string message) {
    Problem found{path, std::move(message)};
    if (std::ranges::find(problems_, found) == problems_.end()) problems_.push_back(std::move(found));
  }

  // `values`: of its matrix; nullptr: it has none.
  bool add(const std::string& name, const std::string& written, Json job, const Values* values) {
    const bool is_new = result_.add({name, written, std::move(job)});
    if (is_new)
      values_.push_back(values);
    else
      problem("jobs." + written, "makes a second job " + name + ", must make other names");
    return is_new;
  }

  // Nothing: told as a problem.
  std::optional<std::map<std::string, std::vector<Json>>> axes_of(const std::string& path,
                                                                  const Json& matrix) {
    if (!matrix.is_object() || matrix.empty()) {
      problem(path, "is " + shown(matrix) + ", must be " + kAllowed);
      return std::nullopt;
    }
    std::map<std::string, std::vector<Json>> axes;
    std::size_t size = 1;
    for (const auto& [key, given] : matrix.items()) {
      auto values = values_of(given);
      if (!values || !is_name(key)) {
        problem(path + "." + key, "is " + shown(given) + ", must be " + kAllowed);
        return std::nullopt;
      }
      size *= values->size();
      if (result_.jobs.size() + size > limits::kJobsPerGraphMax) {
        problem(path, "makes the graph larger than " + std::to_string(limits::kJobsPerGraphMax) +
                          " jobs, must have fewer combinations");
        return std::nullopt;
      }
      axes[key] = *std::move(values);
    }
    return axes;
  }

  void expand(const std::string& name) {
    Json job = std::move(jobs_[name]);
    if (!job.is_object() || !job.contains(kMatrix)) {
      add(name, name, std::move(job), nullptr);
      return;
    }
    const auto axes = axes_of("jobs." + name + "." + kMatrix, job[kMatrix]);
    if (!axes) return;
    job.erase(kMatrix);  // long, and not to be copied with each
    Family& made = made_[name];
    made.values = combinations(*axes);
    for (const Values& values : made.values) {
      std::string full = name;
      for (const auto& [key, value] : values) full += "." + name_part(value);
      if (add(full, name, filled(name, job, values), &values)) made.jobs.push_back(result_.jobs.size() - 1);
    }
  }

  Json filled(const std::string& name, const Json& given, const Values& values) {
    Json job = given;
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

  const std::string& written(std::size_t job) const { return result_.jobs[job].written; }

  static std::vector<Json> values_at(const std::vector<std::string>& keys, const Values& values) {
    std::vector<Json> found;
    for (const std::string& key : keys) found.push_back(values.at(key));
    return found;
  }

  // The jobs of one matrix by their values where another has the same keys.
  struct Agreeing {
    std::vector<std::string> keys;
    std::map<std::vector<Json>, std::vector<std::size_t>> jobs;
  };
  const Agreeing& agreeing(const std::string& asking, const std::string& target, const Values& own) {
    const auto [at, is_new] = agreeing_.try_emplace({asking, target});
    Agreeing& made = at->second;
    if (!is_new) return made;
    const std::vector<std::size_t>& jobs = made_.at(target).jobs;
    for (const auto& [key, value] : own) {
      if (!jobs.empty() && values_[jobs.front()]->contains(key)) made.keys.push_back(key);
    }
    for (const std::size_t job : jobs) made.jobs[values_at(made.keys, *values_[job])].push_back(job);
    return made;
  }

  // Of the jobs made from `target`, those that agree with the job's own matrix where both have a key: their names.
  std::vector<std::string> meant(std::size_t job, const std::string& target) {
    const std::vector<std::size_t>* found = &made_.at(target).jobs;
    static const std::vector<std::size_t> kNone;
    if (const Values* const own = values_[job]) {
      const Agreeing& theirs = agreeing(written(job), target, *own);
      const auto at = theirs.jobs.find(values_at(theirs.keys, *own));
      found = at == theirs.jobs.end() ? &kNone : &at->second;
    }
    names_ += found->size();
    if (has_too_many_names()) {
      problem("jobs." + written(job),
              "names the jobs of " + target + ", which makes more than " + std::to_string(kNamesByMatrixMax) +
                  " names in the whole graph, must name fewer, or have the same matrix");
      return {};
    }
    std::vector<std::string> names;
    for (const std::size_t each : *found) names.push_back(result_.jobs[each].name);
    return names;
  }
  bool has_too_many_names() const { return names_ > kNamesByMatrixMax; }

  void resolve(std::size_t index) {
    Json& job = result_.jobs[index].json;
    if (!job.is_object() || has_too_many_names()) return;
    if (job.contains("needs") && job["needs"].is_array()) resolve_needs(index, job["needs"]);
    if (job.contains("on") && job["on"].is_object()) resolve_edges(index, job["on"]);
    for (const char* key : {"with", "command", "environment", "if"}) {
      if (job.contains(key)) resolve_texts(index, key, job[key]);
    }
  }

  void resolve_needs(std::size_t job, Json& needs) {
    Json all = Json::array();
    for (const Json& need : needs) {
      const bool is_made = need.is_string() && made_.contains(need.get<std::string>());
      if (!is_made) all.push_back(need);
      if (!is_made) continue;
      for (std::string& each : meant(job, need.get<std::string>())) all.push_back(std::move(each));
    }
    needs = std::move(all);
  }

  void resolve_edges(std::size_t job, Json& edges) {
    Json all = Json::object();
    for (const auto& [need, on] : edges.items()) {
      if (!made_.contains(need)) all[need] = on;
      if (!made_.contains(need)) continue;
      for (const std::string& each : meant(job, need)) all[each] = on;
    }
    edges = std::move(all);
  }

  // `path` within the job.
  void resolve_texts(std::size_t job, const std::string& path, Json& json) {
    if (json.is_string()) {
      const auto target = target_in(json.get_ref<const std::string&>());
      if (!target) return;
      const auto meant_jobs = meant(job, *target);
      if (has_too_many_names()) return;
      const std::vector<std::size_t>& made = made_.at(*target).jobs;
      if (made.empty()) return;  // all its names were taken, which has been told
      if (meant_jobs.size() != 1) {
        names_ += made.size();  // all are told
        problem("jobs." + written(job) + "." + path,
                "refers to " + *target + ", which stands for " + enumerate(names_of(*target)) +
                    "; name one of them, put the reference into a list, or give this job the same matrix");
      }
      // What is wrong is told once: whatever looks at the text later takes it for one of them.
      const std::string taken = meant_jobs.size() == 1 ? meant_jobs.front() : result_.jobs[made.front()].name;
      json = renamed(json.get<std::string>(), *target, taken);
      return resolve_texts(job, path, json);  // a text may refer to several jobs
    }
    if (json.is_object()) {
      for (auto& [key, element] : json.items()) resolve_texts(job, join_path(path, key), element);
    }
    if (!json.is_array()) return;
    Json all = Json::array();
    for (Json& element : json) {
      const auto target =
          element.is_string() ? target_in(element.get_ref<const std::string&>()) : std::nullopt;
      if (!target) {
        all.push_back(std::move(element));
        resolve_texts(job, path, all.back());
        continue;
      }
      for (const std::string& each : meant(job, *target)) {
        all.push_back(renamed(element.get<std::string>(), *target, each));
        resolve_texts(job, path, all.back());
      }
    }
    json = std::move(all);
  }

  std::vector<std::string> names_of(const std::string& target) const {
    std::vector<std::string> names;
    for (const std::size_t job : made_.at(target).jobs) names.push_back(result_.jobs[job].name);
    return names;
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

  Json& jobs_;
  const std::vector<std::string>& order_;
  Problems& problems_;
  ExpandedJobs result_;
  std::map<std::string, Family> made_;  // by written name
  std::vector<const Values*> values_;   // of each of the result's jobs
  std::map<std::pair<std::string, std::string>, Agreeing> agreeing_;
  std::size_t names_ = 0;  // that stand for jobs of matrices so far
};

}  // namespace

bool ExpandedJobs::add(ExpandedJob job) {
  if (!index_.try_emplace(job.name, jobs.size()).second) return false;
  has_matrix = has_matrix || job.name != job.written;
  jobs.push_back(std::move(job));
  return true;
}

const Json* ExpandedJobs::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &jobs[found->second].json;
}

ExpandedJobs expand_matrices(Json jobs, const std::vector<std::string>& order, Problems& problems) {
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
