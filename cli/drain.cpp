#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>
#include <memory>

#include "cli/answers.h"
#include "cli/command.h"
#include "cli/connection.h"
#include "cli/output.h"
#include "jobs/spec/units.h"

namespace paddock::cli {
namespace {

constexpr Millis kLookEvery{500};

struct Options {
  Target target;
  std::string node;
  std::string reason;
  std::string deadline;
  bool waits = false;
};

// Until nothing runs there any more.
Result<void> wait_until_empty(Connection& connection, const std::string& name) {
  while (true) {
    const auto answer = connection.ask_until_answered(
        wire::Message::NODES, [](wire::Message::Builder message) { message.setNodesRequest(); });
    if (!answer) return tl::unexpected<Error>(answer.error());
    bool is_busy = false;
    for (const auto node : answer->message().getNodes())
      is_busy = is_busy || (to_text(node.getName()) == name && node.getAttempts().size() > 0);
    if (!is_busy) return {};
    connection.pause(kLookEvery);
  }
}

Result<int> drain(const Options& options, bool is_json) {
  auto connection = Connection::open(options.target);
  if (!connection) return tl::unexpected<Error>(connection.error());
  const Millis deadline =
      options.deadline.empty() ? Millis(0) : spec::parse_duration(options.deadline).value_or(Millis(0));
  const auto answer = connection->ask(wire::Message::DONE, [&](wire::Message::Builder message) {
    auto request = message.initDrain();
    request.setNode(options.node);
    request.setReason(options.reason);
    request.setDeadlineMs(static_cast<std::uint64_t>(deadline.count()));
  });
  if (!answer) return tl::unexpected<Error>(answer.error());
  if (!is_json)
    print_text("node " + options.node + " gets no new work; what runs there moves at its next checkpoint\n");
  if (options.waits) {
    TRY(wait_until_empty(*connection, options.node), "waiting for node " + options.node);
    if (!is_json) print_text("node " + options.node + " is drained\n");
  }
  if (is_json) print_json({{"node", options.node}, {"drained", options.waits}});
  return kDone;
}

}  // namespace

void add_drain(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("drain", "takes a machine out: nothing new starts there, what runs moves on");
  command->add_option("NODE", options->node, "its name, as `paddock nodes` shows it")->required();
  command->add_option("--reason", options->reason, "shown by nodes and why");
  command
      ->add_option("--deadline", options->deadline,
                   "after which what still runs there is asked to stop, like 10m")
      ->check(CLI::Validator(
          [](std::string& text) {
            return spec::parse_duration(text) ? "" : text + " is not a duration like 30s, 5m or 2h";
          },
          "DURATION"));
  command->add_flag("--wait", options->waits, "returns once nothing runs there any more");
  add_target_options(*command, options->target);
  add_output_option(*command, chosen);
  command->callback(
      [options, &chosen] { chosen.run = [options, &chosen] { return drain(*options, chosen.is_json); }; });
}

}  // namespace paddock::cli
