#include <CLI/Option.hpp>
#include <CLI/Validators.hpp>
#include <memory>

#include "cli/answers.h"
#include "cli/command.h"
#include "cli/connection.h"
#include "cli/live_view.h"
#include "cli/output.h"

namespace paddock::cli {
namespace {

struct Options {
  Target target;
  std::string graph;
  bool watches = false;
  std::size_t limit = 1'000;
  std::string after;
  std::string state;
};

std::string list_text(const Json& all) {
  std::vector<Row> rows;
  for (const Json& graph : all) {
    const double submitted = number_of(graph, "submitted_unix_ms");
    const double ended = number_of(graph, "ended_unix_ms");
    rows.push_back({std::to_string(graph["graph"].get<std::uint64_t>()), text_of(graph, "name"),
                    text_of(graph, "state"), show_moment(static_cast<std::int64_t>(submitted)),
                    ended > 0 ? show_seconds((ended - submitted) / 1000) : ""});
  }
  return rows.empty() ? "no graph has been submitted yet\n"
                      : table({"GRAPH", "NAME", "STATE", "SUBMITTED", "TOOK"}, rows);
}

// Why each attempt that did not succeed ended: a line each.
std::string attempts_text(const Json& graph) {
  std::string text;
  for (const Json& job : graph["jobs"]) {
    for (const Json& attempt : job["attempts"]) {
      const std::string outcome = text_of(attempt, "outcome");
      if (outcome == "running" || outcome == "succeeded") continue;
      text += std::to_string(graph["graph"].get<std::uint64_t>()) + "/" + text_of(job, "job") + "#" +
              std::to_string(attempt["attempt"].get<std::uint32_t>()) + " " + outcome + ": " +
              plain(text_of(attempt, "reason")) + "\n";
    }
  }
  return text;
}

// How to see the rest, where not all of it is shown; "": all is.
std::string more_text(const Json& graph, const Options& options) {
  if (graph["next"].is_null()) return "";
  return "more: paddock status " + graph["graph"].dump() + " --after " + text_of(graph, "next") +
         (options.state.empty() ? "" : " --job-state " + options.state) + "\n";
}

Result<int> show(Connection& connection, std::uint64_t id, const Options& options, bool is_json) {
  const auto graph =
      graph_with(connection, id, {.limit = options.limit, .after = options.after, .state = options.state});
  if (!graph) return tl::unexpected<Error>(graph.error());
  if (is_json)
    print_json({{"graphs", Json::array({*graph})}});
  else
    print_text(graph_text(*graph) + attempts_text(*graph) + more_text(*graph, options));
  return kDone;
}

Result<int> status(const Options& options, bool is_json) {
  auto connection = Connection::open(options.target);
  if (!connection) return tl::unexpected<Error>(connection.error());
  std::uint64_t id = 0;
  if (!options.graph.empty()) {
    const auto found = find_graph(*connection, options.graph, options.watches);
    if (!found) return tl::unexpected<Error>(found.error());
    id = *found;
  }
  if (options.watches) {
    if (id == 0) return fail(Code::kInvalid, "--watch needs a graph: paddock status GRAPH --watch");
    const auto ended = follow_graph(*connection, id, is_json);
    if (!ended) return tl::unexpected<Error>(ended.error());
    if (is_json) print_json({{"graphs", Json::array({*ended})}});
    return kDone;
  }
  if (id > 0) return show(*connection, id, options, is_json);
  const auto found = graphs(*connection);
  if (!found) return tl::unexpected<Error>(found.error());
  if (is_json)
    print_json({{"graphs", *found}});
  else
    print_text(list_text(*found));
  return kDone;
}

}  // namespace

void add_status(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("status", "lists the graphs, or shows one with its jobs");
  CLI::Option* const graph =
      command->add_option("GRAPH", options->graph, "number, or name: the newest of that name");
  command
      ->add_option("--limit", options->limit,
                   "jobs shown at most; those of a graph that has more come in the order of their names")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str()
      ->needs(graph);
  command->add_option("--after", options->after, "only jobs behind this name")->needs(graph);
  command->add_option("--job-state", options->state, "only jobs in this state, like failed")
      ->check(CLI::IsMember({"waiting", "preparing", "queued", "running", "backing_off", "succeeded",
                             "failed", "cancelled", "skipped"}))
      ->needs(graph);
  command->add_flag("--watch", options->watches, "keeps showing the graph until it has ended");
  add_target_options(*command, options->target);
  add_output_option(*command, chosen);
  command->callback(
      [options, &chosen] { chosen.run = [options, &chosen] { return status(*options, chosen.is_json); }; });
}

}  // namespace paddock::cli
