#include <memory>

#include "cli/answers.h"
#include "cli/command.h"
#include "cli/connection.h"
#include "cli/output.h"

namespace paddock::cli {
namespace {

struct Options {
  Target target;
  std::string graph;
  std::string reason = "cancelled by the user";
};

Result<int> cancel(const Options& options, bool is_json) {
  const auto about = ask_about(options.target, options.graph, wire::Message::DONE,
                               [&](wire::Message::Builder message, std::uint64_t graph) {
                                 auto request = message.initCancel();
                                 request.setGraph(graph);
                                 request.setReason(options.reason);
                               });
  if (!about) return tl::unexpected<Error>(about.error());
  if (is_json)
    print_json({{"graph", about->graph}, {"reason", options.reason}});
  else
    print_text("graph " + std::to_string(about->graph) + " is being cancelled\n");
  return kDone;
}

}  // namespace

void add_cancel(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("cancel", "ends a graph: running jobs are asked to stop, then ended");
  command->add_option("GRAPH", options->graph, "number, or name: the newest of that name")->required();
  command->add_option("--reason", options->reason, "shown by status")->capture_default_str();
  add_target_options(*command, options->target);
  add_output_option(*command, chosen);
  command->callback(
      [options, &chosen] { chosen.run = [options, &chosen] { return cancel(*options, chosen.is_json); }; });
}

}  // namespace paddock::cli
