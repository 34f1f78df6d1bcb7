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
};

Result<int> artifacts(const Options& options, bool is_json) {
  auto connection = Connection::open(options.target);
  if (!connection) return tl::unexpected<Error>(connection.error());
  const auto graph = find_graph(*connection, options.graph);
  if (!graph) return tl::unexpected<Error>(graph.error());
  const auto found = graph_with(*connection, *graph);
  if (!found) return tl::unexpected<Error>(found.error());
  Json list = Json::array();
  std::vector<Row> rows;
  for (const Json& job : (*found)["jobs"]) {
    for (const Json& artifact : job["artifacts"]) {
      rows.push_back({text_of(job, "job"), text_of(artifact, "name"), text_of(artifact, "hash").substr(0, 16),
                      text_of(artifact, "path")});
      list.push_back(artifact);
      list.back()["job"] = job["job"];
    }
  }
  if (is_json)
    print_json({{"artifacts", std::move(list)}});
  else if (rows.empty())
    print_text("the graph has made no artifact yet\n");
  else
    print_text(table({"JOB", "ARTIFACT", "HASH", "PATH"}, rows));
  return kDone;
}

}  // namespace

void add_artifacts(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("artifacts", "lists what the jobs of a graph have made, and where it is");
  command->add_option("GRAPH", options->graph, "number, or name: the newest of that name")->required();
  add_target_options(*command, options->target);
  add_output_option(*command, chosen);
  command->callback([options, &chosen] {
    chosen.run = [options, &chosen] { return artifacts(*options, chosen.is_json); };
  });
}

}  // namespace paddock::cli
