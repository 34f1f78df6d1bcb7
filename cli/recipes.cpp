#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>
#include <memory>
#include <sstream>

#include "base/limits.h"
#include "cli/command.h"
#include "cli/output.h"
#include "jobs/spec/recipes.h"
#include "jobs/spec/training_summary.h"
#include "jobs/spec/yaml_text.h"

namespace paddock::cli {
namespace {

struct Options {
  std::string name;  // "": all are listed
  std::int64_t ranks = 1;
};

Json about(const spec::Recipe& recipe) {
  return {{"name", recipe.name},
          {"kind", recipe.kind},
          {"parent", recipe.parent.empty() ? Json() : Json(recipe.parent)},
          {"about", recipe.about}};
}

int list(bool is_json) {
  Json all = Json::array();
  std::vector<Row> rows;
  for (const spec::Recipe& recipe : spec::recipes()) {
    all.push_back(about(recipe));
    rows.push_back({recipe.name, recipe.kind, recipe.about});
  }
  if (is_json)
    print_json({{"recipes", std::move(all)}});
  else
    print_text(table({"RECIPE", "KIND", "ABOUT"}, rows));
  return kDone;
}

// Width, depth and heads count for arch custom alone; shown beside another arch they would mislead.
void leave_out_unused(Json& with) {
  for (const char* network : {"backbone", "student"}) {
    if (!with.contains(network) || text_of(with[network], "arch") == "custom") continue;
    for (const char* key : {"embed_dim", "depth", "heads"}) with[network].erase(key);
  }
}

struct Resolved {
  Json with;      // complete but for what only a job can say
  Json required;  // the keys of that
  std::optional<spec::TrainingSummary> summary;
};

Result<Resolved> resolve(const spec::Recipe& recipe, std::int64_t ranks) {
  const spec::JobKind* kind = spec::find_job_kind(recipe.kind);
  if (kind == nullptr) return fail(Code::kInvalid, "there is no kind " + recipe.kind);
  Resolved resolved;
  resolved.required = kind->schema().value("required", Json::array());
  Json filled = recipe.with;
  for (const Json& key : resolved.required) filled[key.get<std::string>()] = "to be given";
  auto options = kind->resolve(filled);
  if (!options) {
    const spec::Problem& problem = options.error().front();
    return fail(Code::kInvalid, "recipe " + recipe.name + ": " + problem.path + ": " + problem.message);
  }
  resolved.with = *std::move(options);
  spec::TrainingFacts facts;
  facts.ranks = ranks;
  resolved.summary = spec::summarize_training(recipe.kind, resolved.with, facts);
  for (const Json& key : resolved.required) resolved.with.erase(key.get<std::string>());
  leave_out_unused(resolved.with);
  return resolved;
}

std::string as_comment(const std::string& text) {
  std::istringstream lines(text);
  std::string comment;
  for (std::string line; std::getline(lines, line);) comment += "# " + line + "\n";
  return comment;
}

Result<int> show(const Options& options, bool is_json) {
  const spec::Recipe* recipe = spec::find_recipe(options.name);
  if (recipe == nullptr) return fail(Code::kNotFound, spec::unknown_recipe(options.name));
  TRY_ASSIGN(const Resolved resolved, resolve(*recipe, options.ranks), "resolving");
  if (is_json) {
    Json json = about(*recipe);
    json["with"] = resolved.with;
    json["required"] = resolved.required;
    json["summary"] = resolved.summary ? spec::to_json(*resolved.summary) : Json();
    print_json(json);
    return kDone;
  }
  std::string text = as_comment(recipe->name + ": " + recipe->about);
  if (!recipe->parent.empty())
    text += as_comment("changes " + recipe->parent + " by:\n" + spec::to_yaml(recipe->own, 2));
  text += spec::to_yaml({{"kind", recipe->kind}}) + "with:\n";
  for (const Json& key : resolved.required) text += "  # " + key.get<std::string>() + ": must be given\n";
  text += spec::to_yaml(resolved.with, 2);
  if (resolved.summary) text += as_comment(spec::to_text(*resolved.summary));
  print_text(text);
  return kDone;
}

}  // namespace

void add_recipes(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "recipes",
      "lists the named sets of options a job can begin with, or shows one with all that follows from it");
  command->add_option("NAME", options->name, "of a recipe");
  command->add_option("--ranks", options->ranks, "that the summary of a training is made for")
      ->check(CLI::Range(std::int64_t{1}, static_cast<std::int64_t>(limits::kRanksPerAttemptMax)))
      ->capture_default_str();
  add_output_option(*command, chosen);
  command->callback([options, &chosen] {
    chosen.run = [options, &chosen]() -> Result<int> {
      if (options->name.empty()) return list(chosen.is_json);
      return show(*options, chosen.is_json);
    };
  });
}

}  // namespace paddock::cli
