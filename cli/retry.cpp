#include <memory>

#include "cli/answers.h"
#include "cli/command.h"
#include "cli/connection.h"
#include "cli/live_view.h"
#include "cli/output.h"
#include "cli/token.h"

namespace paddock::cli {
namespace {

struct Options {
  Target target;
  std::string graph;
  bool waits = false;
};

Result<int> retry(const Options& options, bool is_json) {
  auto connection = Connection::open(options.target);
  if (!connection) return tl::unexpected<Error>(connection.error());
  const auto ended = find_graph(*connection, options.graph);
  if (!ended) return tl::unexpected<Error>(ended.error());
  const std::string token = draw_token();
  const auto answer = connection->ask(wire::Message::SUBMITTED, [&](wire::Message::Builder message) {
    auto request = message.initRetry();
    request.setGraph(*ended);
    request.setToken(token);
  });
  if (!answer) return tl::unexpected<Error>(answer.error());
  const auto submitted = answer->message().getSubmitted();
  const std::uint64_t graph = submitted.getGraph();
  const std::string name = to_text(submitted.getName());
  if (!is_json) print_text("graph " + std::to_string(graph) + " " + name + " does again what failed\n");
  if (!options.waits) {
    if (is_json) print_json({{"graph", graph}, {"name", name}, {"retry_of", *ended}});
    return kDone;
  }
  const auto end = follow_graph(*connection, graph, is_json);
  if (!end) return tl::unexpected<Error>(end.error());
  if (is_json) print_json(*end);
  return exit_code_of_graph(*end);
}

}  // namespace

void add_retry(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "retry", "takes up a graph that ended without success, as a new one: what succeeded is not done again");
  command->add_option("GRAPH", options->graph, "number, or name: the newest of that name")->required();
  command->add_flag("--wait", options->waits,
                    "shows progress until it has ended; exit code 0 only if it succeeded");
  add_target_options(*command, options->target);
  add_output_option(*command, chosen);
  command->callback(
      [options, &chosen] { chosen.run = [options, &chosen] { return retry(*options, chosen.is_json); }; });
}

}  // namespace paddock::cli
