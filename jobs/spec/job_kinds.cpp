#include "jobs/spec/job_kinds.h"

#include "jobs/spec/curate.h"
#include "jobs/spec/distill.h"
#include "jobs/spec/evaluate.h"
#include "jobs/spec/nearest.h"
#include "jobs/spec/pretrain.h"

namespace paddock::spec {
namespace {

struct NoOptions {};

// `table`: a function that returns the kind's OptionTable.
template <typename Table>
JobKind kind(std::string name, std::string doc, const std::vector<std::string>& artifacts, Table table) {
  JobKind kind;
  kind.name = std::move(name);
  kind.doc = std::move(doc);
  kind.artifacts = [artifacts](const Json&) { return artifacts; };
  kind.is_cacheable = true;
  kind.resolve = [table](const Json& with) -> tl::expected<Json, Problems> {
    const auto options = table().parse(with);
    if (!options) return tl::unexpected<Problems>(options.error());
    return table().to_json(*options);
  };
  kind.schema = [table] { return table().json_schema(); };
  kind.alternatives = table().alternatives();
  return kind;
}

const OptionTable<NoOptions>& command_table() {
  static const OptionTable<NoOptions> table;
  return table;
}

std::vector<std::pair<std::string, std::string>> free_training_options() {
  std::vector<std::pair<std::string, std::string>> options;
  for (const char* name :
       {"checkpoint_every", "keep_checkpoints", "keep_every", "knn_every", "hang_seconds", "silent_seconds",
        "activation_checkpointing", "unsaved_seconds", "loader_threads", "cache_megabytes"})
    options.emplace_back("run", name);
  return options;
}

std::vector<JobKind> make_job_kinds() {
  std::vector<JobKind> kinds;
  kinds.push_back(kind("curate", "makes a dataset from a folder of pictures", {"dataset"}, curate_table));
  kinds.push_back(kind("pretrain", "raises a backbone from a dataset without labels", {"checkpoint", "run"},
                       pretrain_table));
  kinds.back().format_version = 2;  // 2: a function of shards, not of ranks
  kinds.push_back(kind("adapt",
                       "trains weights that are there already at another resolution or on other pictures",
                       {"checkpoint", "run"}, adapt_table));
  kinds.push_back(
      kind("distill", "raises smaller students by a finished teacher", {"checkpoint", "run"}, distill_table));
  kinds.back().artifacts = distill_artifacts;
  kinds.back().format_version = 2;
  for (JobKind& each : kinds) {
    if (each.name == "curate") continue;
    each.free_options = free_training_options();
    each.later_options = {{"run", "weights", "whole"}};
  }
  kinds.push_back(kind("evaluate", "measures models and writes a report", {"report"}, evaluate_table));
  kinds.push_back(kind(std::string(kCommandKind), "runs any program", {}, command_table));
  kinds.back().is_cacheable = false;
  return kinds;
}

}  // namespace

const std::vector<JobKind>& job_kinds() {
  static const auto kinds = make_job_kinds();
  return kinds;
}

const JobKind* find_job_kind(std::string_view name) {
  for (const JobKind& kind : job_kinds()) {
    if (kind.name == name) return &kind;
  }
  return nullptr;
}

Json bound_options(const JobKind& kind, Json options) {
  for (const auto& [group, name] : kind.free_options) {
    if (options.contains(group) && options[group].is_object()) options[group].erase(name);
  }
  for (const auto& later : kind.later_options) {
    const auto group = options.find(later.group);
    if (group == options.end() || !group->is_object()) continue;
    if (const auto option = group->find(later.name); option != group->end() && *option == later.as_before)
      group->erase(option);
  }
  return options;
}

std::vector<std::string> job_kind_names() {
  std::vector<std::string> names;
  for (const JobKind& kind : job_kinds()) names.push_back(kind.name);
  return names;
}

}  // namespace paddock::spec
