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
  std::string job;
};

Result<int> checkpoints(const Options& options, bool is_json) {
  const auto about = ask_about(options.target, options.graph, wire::Message::CHECKPOINTS,
                               [&](wire::Message::Builder message, std::uint64_t graph) {
                                 auto request = message.initCheckpointsRequest();
                                 request.setGraph(graph);
                                 request.setJob(options.job);
                               });
  if (!about) return tl::unexpected<Error>(about.error());
  Json list = Json::array();
  std::vector<Row> rows;
  for (const auto checkpoint : about->answer.message().getCheckpoints()) {
    list.push_back(to_json(checkpoint));
    rows.push_back({to_text(checkpoint.getJob()), std::to_string(checkpoint.getStep()),
                    show_bytes(checkpoint.getBytes()), to_text(checkpoint.getHash()).substr(0, 16),
                    to_text(checkpoint.getPath())});
  }
  if (is_json)
    print_json({{"checkpoints", std::move(list)}});
  else if (rows.empty())
    print_text("no checkpoint has been recorded yet\n");
  else
    print_text(table({"JOB", "STEP", "SIZE", "HASH", "PATH"}, rows));
  return kDone;
}

}  // namespace

void add_checkpoints(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("checkpoints", "lists the recorded checkpoints of a graph's jobs");
  command->add_option("GRAPH", options->graph, "number, or name: the newest of that name")->required();
  command->add_option("JOB", options->job, "only those of this job");
  add_target_options(*command, options->target);
  add_output_option(*command, chosen);
  command->callback([options, &chosen] {
    chosen.run = [options, &chosen] { return checkpoints(*options, chosen.is_json); };
  });
}

}  // namespace paddock::cli
