#include <iostream>
#include <memory>

#include "cli/answers.h"
#include "cli/command.h"
#include "cli/connection.h"
#include "cli/live_view.h"
#include "cli/output.h"
#include "cli/spec_file.h"
#include "cli/token.h"

namespace paddock::cli {
namespace {

struct Options {
  Target target;
  std::string file;
  bool waits = false;
  bool has_no_cache = false;
};

// Nothing runs yet, so there is nothing to wait for.
int tell_of_schedule(const std::string& name, const std::string& next, bool is_json) {
  if (is_json)
    print_json({{"graph", Json()}, {"name", name}, {"next_run", next.empty() ? Json() : Json(next)}});
  else
    print_text("scheduled " + name + (next.empty() ? ", which is paused" : ", next run " + next) + "\n");
  return kDone;
}

Result<int> submit(const Options& options, bool is_json) {
  auto file = read_spec_file(options.file);
  if (!file) return tl::unexpected<Error>(file.error());
  auto connection = Connection::open(options.target);
  if (!connection) return tl::unexpected<Error>(connection.error());
  const std::string token = draw_token();
  const auto fill = [&](wire::Message::Builder message) {
    auto submission = message.initSubmit();
    submission.setSpec(file->text);
    submission.setFile(file->name);
    submission.setToken(token);
    submission.setNoCache(options.has_no_cache);
  };
  const auto answer = options.waits ? connection->ask_until_answered(wire::Message::SUBMITTED, fill)
                                    : connection->ask(wire::Message::SUBMITTED, fill);
  if (!answer) return tl::unexpected<Error>(answer.error());
  const auto submitted = answer->message().getSubmitted();
  const std::uint64_t graph = submitted.getGraph();
  const std::string name = to_text(submitted.getName());
  if (submitted.getIsSchedule()) return tell_of_schedule(name, to_text(submitted.getNextRun()), is_json);
  if (!is_json) print_text("submitted graph " + std::to_string(graph) + " " + name + "\n");
  if (!options.waits) {
    if (is_json) print_json({{"graph", graph}, {"name", name}});
    return kDone;
  }
  const auto ended = follow_graph(*connection, graph, is_json);
  if (!ended) return tl::unexpected<Error>(ended.error());
  if (is_json) print_json(*ended);
  return exit_code_of_graph(*ended);
}

}  // namespace

void add_submit(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("submit", "hands a graph to the coordinator");
  command->add_option("FILE", options->file, "the graph, YAML or JSON; - for standard input")->required();
  command->add_flag(
      "--wait", options->waits,
      "shows progress until it has ended; exit code 0 only if it succeeded. A scheduled graph is not "
      "waited for");
  command->add_flag("--no-cache", options->has_no_cache,
                    "runs every job, though its result may be there already");
  add_target_options(*command, options->target);
  add_output_option(*command, chosen);
  command->callback(
      [options, &chosen] { chosen.run = [options, &chosen] { return submit(*options, chosen.is_json); }; });
}

}  // namespace paddock::cli
