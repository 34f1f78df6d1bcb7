#include <memory>

#include "cli/command.h"
#include "cli/connection.h"
#include "cli/output.h"

namespace paddock::cli {
namespace {

struct Options {
  Target target;
  std::string node;
};

Result<int> resume(const Options& options, bool is_json) {
  const auto answer = ask(options.target, wire::Message::DONE,
                          [&](wire::Message::Builder message) { message.setResume(options.node); });
  if (!answer) return tl::unexpected<Error>(answer.error());
  if (is_json)
    print_json({{"node", options.node}});
  else
    print_text("node " + options.node + " takes work again\n");
  return kDone;
}

}  // namespace

void add_resume(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("resume", "lets a drained or cordoned machine take work again");
  command->add_option("NODE", options->node, "its name, as `paddock nodes` shows it")->required();
  add_target_options(*command, options->target);
  add_output_option(*command, chosen);
  command->callback(
      [options, &chosen] { chosen.run = [options, &chosen] { return resume(*options, chosen.is_json); }; });
}

}  // namespace paddock::cli
