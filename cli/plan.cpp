#include <CLI/Option.hpp>
#include <memory>

#include "cli/answers.h"
#include "cli/command.h"
#include "cli/connection.h"
#include "cli/output.h"
#include "cli/spec_file.h"
#include "jobs/spec/training_summary.h"

namespace paddock::cli {
namespace {

struct Options {
  Target target;
  std::string file;
  bool is_verbose = false;
  bool has_no_cache = false;
};

std::string joined(const Json& names) {
  std::string text;
  for (const Json& name : names) text += (text.empty() ? "" : ",") + name.get<std::string>();
  return text;
}

// With the students of a distillation of several.
std::string kind_of(const Json& job) {
  std::string text = text_of(job, "kind");
  if (!job["with"].is_object() || !job["with"].contains("students")) return text;
  Json names = Json::array();
  for (const auto& [name, student] : job["with"]["students"].items()) names.push_back(name);
  return text + " (" + joined(names) + ")";
}

std::optional<spec::TrainingSummary> summary_of(const Json& job) {
  spec::TrainingFacts facts;
  facts.ranks = job["ranks"].get<std::int64_t>();
  return spec::summarize_training(text_of(job, "kind"), job["with"], facts);
}

Result<int> plan(const Options& options, bool is_json) {
  auto file = read_spec_file(options.file);
  if (!file) return tl::unexpected<Error>(file.error());
  const auto answer = ask(options.target, wire::Message::PLANNED, [&](wire::Message::Builder message) {
    auto submission = message.initPlan();
    submission.setSpec(file->text);
    submission.setFile(file->name);
    submission.setNoCache(options.has_no_cache);
  });
  if (!answer) return tl::unexpected<Error>(answer.error());
  Json jobs = Json::array();
  for (const auto job : answer->message().getPlanned().getJobs()) jobs.push_back(to_json(job));
  if (is_json) {
    for (Json& job : jobs) {
      if (!options.is_verbose) break;
      const auto summary = summary_of(job);
      job["summary"] = summary ? spec::to_json(*summary) : Json();
    }
    print_json({{"jobs", std::move(jobs)}});
    return kDone;
  }
  std::vector<Row> rows;
  for (const Json& job : jobs) {
    rows.push_back({text_of(job, "job"), kind_of(job), std::to_string(job["ranks"].get<std::uint32_t>()),
                    joined(job["needs"]),
                    job["cached"] == true ? "done already (cache)" : plain(text_of(job, "placement"))});
  }
  print_text(table({"JOB", "KIND", "RANKS", "NEEDS", "WOULD"}, rows));
  for (const Json& job : jobs) {
    if (!options.is_verbose) break;
    if (const auto summary = summary_of(job))
      print_text("\n" + text_of(job, "job") + "\n" + spec::to_text(*summary));
  }
  return kDone;
}

}  // namespace

void add_plan(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("plan", "shows what would run and where, without running it");
  command->add_option("FILE", options->file, "the graph, YAML or JSON; - for standard input")->required();
  command->add_flag("-v,--verbose", options->is_verbose, "says what follows from the options of trainings");
  command->add_flag("--no-cache", options->has_no_cache, "as submit --no-cache would");
  add_target_options(*command, options->target);
  add_output_option(*command, chosen);
  command->callback(
      [options, &chosen] { chosen.run = [options, &chosen] { return plan(*options, chosen.is_json); }; });
}

}  // namespace paddock::cli
