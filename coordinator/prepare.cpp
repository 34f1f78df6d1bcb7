#include "coordinator/prepare.h"

#include <algorithm>
#include <optional>
#include <system_error>
#include <utility>

#include "jobs/spec/job_kinds.h"
#include "jobs/spec/references.h"
#include "storage/hash.h"

namespace paddock::coordinator {
namespace {

using nlohmann::json;

constexpr std::size_t kKeyDigitsInName = 16;  // 64 bits: enough to tell the stages of one store apart

struct Values {
  spec::ReferenceValues paths;
  spec::ReferenceValues hashes;
  bool all_hashed = true;
};

Result<Values> values_of(const spec::JobSpec& job, const Made& made) {
  Values values;
  for (const spec::Reference& reference : spec::references_of(job)) {
    const auto artifacts = made.find(reference.job);
    if (artifacts == made.end()) return fail(Code::kNotFound, "job " + reference.job + " has made nothing");
    const auto artifact = artifacts->second.find(reference.artifact);
    if (artifact == artifacts->second.end()) {
      return fail(Code::kNotFound, "job " + reference.job + " has made no artifact " + reference.artifact);
    }
    values.paths[reference] = artifact->second.path;
    values.hashes[reference] = artifact->second.hash;
    values.all_hashed = values.all_hashed && !artifact->second.hash.empty();
  }
  return values;
}

Result<json> resolve(const spec::JobKind& kind, const json& with, const std::string& job) {
  auto resolved = kind.resolve(with);
  if (resolved) return *std::move(resolved);
  std::string message = "job " + job;
  for (const spec::Problem& problem : resolved.error()) {
    message += std::string(&problem == &resolved.error().front() ? ": " : "; ") +
               spec::join_path("with", problem.path) + ": " + problem.message;
  }
  return fail(Code::kInvalid, message);
}

Result<std::string> stage_key(const spec::JobKind& kind, const spec::JobSpec& job, const Values& values) {
  if (!kind.is_cacheable || !job.cache || !values.all_hashed) return std::string();
  TRY_ASSIGN(const json by_hash, spec::substitute(job.with, values.hashes), "job " + job.name);
  TRY_ASSIGN(const json options, resolve(kind, by_hash, job.name), "making the stage key");
  json identity{{"kind", kind.name},
                {"format_version", kind.format_version},
                {"with", spec::bound_options(kind, options)}};
  return storage::xxh3_hex(identity.dump(-1, ' ', false, json::error_handler_t::replace));
}

// The part of its `if` that does not hold.
std::optional<std::string> broken_condition(const spec::JobSpec& job, const Made& made) {
  const auto is_made = [&](const std::string& text) {
    const auto reference = spec::condition_reference(text);
    const auto artifacts = reference ? made.find(reference->job) : made.end();
    return artifacts != made.end() && artifacts->second.contains(reference->artifact);
  };
  const spec::Condition& condition = job.condition;
  if (condition.made && !is_made(*condition.made)) return "made " + *condition.made;
  if (condition.not_made && is_made(*condition.not_made)) return "not_made " + *condition.not_made;
  return std::nullopt;
}

bool all_exist(const scheduler::Artifacts& artifacts) {
  return std::ranges::all_of(artifacts, [](const auto& entry) {
    std::error_code unreadable;
    return std::filesystem::exists(entry.second.path, unreadable);
  });
}

}  // namespace

Result<Preparation> prepare(const spec::JobSpec& job, const Made& made,
                            const std::map<std::string, scheduler::Artifacts>& stages,
                            const std::filesystem::path& store, const std::filesystem::path& own_directory) {
  const spec::JobKind* kind = spec::find_job_kind(job.kind);
  if (kind == nullptr) return fail(Code::kInvalid, "job " + job.name + ": there is no kind " + job.kind);
  TRY_ASSIGN(const Values values, values_of(job, made), "job " + job.name);
  TRY_ASSIGN(const spec::JobSpec filled, spec::substitute(job, values.paths), "filling in references");
  TRY_ASSIGN(const json options, resolve(*kind, filled.with, job.name), "resolving options");
  Preparation preparation;
  scheduler::Launch& launch = preparation.launch;
  TRY_ASSIGN(launch.stage_key, stage_key(*kind, job, values), "making the stage key");
  launch.options = options.dump(-1, ' ', false, json::error_handler_t::replace);
  launch.command = filled.command;
  launch.environment = filled.environment;
  launch.directory =
      launch.stage_key.empty()
          ? own_directory.string()
          : (store / "stages" / (kind->name + "-" + launch.stage_key.substr(0, kKeyDigitsInName))).string();
  const auto finished = stages.find(launch.stage_key);
  if (!launch.stage_key.empty() && finished != stages.end() && all_exist(finished->second)) {
    preparation.is_cached = true;
    preparation.artifacts = finished->second;
  }
  return preparation;
}

scheduler::What prepare_job(const scheduler::Cluster& cluster, const JobKey& key,
                            const std::filesystem::path& store) {
  const auto refused = [&](const Error& error) { return scheduler::JobRefused{key, error.message}; };
  const scheduler::Graph* graph = scheduler::find_graph(cluster, key.graph);
  const scheduler::Job* job = scheduler::find_job(cluster, key);
  if (graph == nullptr || job == nullptr) return refused(Error{Code::kNotFound, "there is no such job"});
  const auto spec = spec::job_from_json(json::parse(job->request.spec, nullptr, false));
  if (!spec) return refused(spec.error());
  Made made;
  for (const JobName& need : job->request.needs) made[need.value] = graph->jobs.at(need).artifacts;
  const auto own = store / "graphs" / std::to_string(key.graph.value) / key.job.value;
  if (const auto broken = broken_condition(*spec, made))
    return scheduler::JobSkipped{key, "its condition does not hold: " + *broken};
  auto preparation = prepare(*spec, made, cluster.stages, store, own);
  if (!preparation) return refused(preparation.error());
  return scheduler::JobPrepared{key, std::move(preparation->launch), preparation->is_cached,
                                std::move(preparation->artifacts)};
}

}  // namespace paddock::coordinator
