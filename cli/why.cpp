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

// "train: queued, waits for a node with 8 free GPUs: …"
std::string line_of(const std::string& job, const std::string& state, const std::string& sentence) {
  return job + ": " + state + (sentence.empty() ? "" : ", " + plain(sentence)) + "\n";
}

Result<int> why(Options options, bool is_json) {
  // Both `why GRAPH JOB` and, as lists show it, `why GRAPH/JOB`.
  if (const std::size_t slash = options.graph.find('/'); options.job.empty() && slash != std::string::npos) {
    options.job = options.graph.substr(slash + 1);
    options.graph.resize(slash);
  }
  if (options.job.empty()) return fail(Code::kInvalid, "which job? paddock why GRAPH JOB");
  const auto about = ask_about(options.target, options.graph, wire::Message::REASON,
                               [&](wire::Message::Builder message, std::uint64_t graph) {
                                 auto request = message.initWhy();
                                 request.setGraph(graph);
                                 request.setJob(options.job);
                               });
  if (!about) return tl::unexpected<Error>(about.error());
  const auto reason = about->answer.message().getReason();
  const std::string state = to_text(reason.getState());
  const std::string sentence = to_text(reason.getSentence());
  const std::string start = to_text(reason.getStart());
  if (is_json)
    print_json({{"graph", about->graph},
                {"job", options.job},
                {"state", state},
                {"reason", sentence},
                {"start_reason", start}});
  else
    print_text(line_of(options.job, state, sentence) + (start.empty() ? "" : plain(start) + "\n"));
  return kDone;
}

}  // namespace

void add_why(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("why", "says in one sentence what a job waits for, or why it ended");
  command->add_option("GRAPH", options->graph, "number, or name: the newest of that name; or GRAPH/JOB")
      ->required();
  command->add_option("JOB", options->job, "its name in the graph");
  add_target_options(*command, options->target);
  add_output_option(*command, chosen);
  command->callback(
      [options, &chosen] { chosen.run = [options, &chosen] { return why(*options, chosen.is_json); }; });
}

}  // namespace paddock::cli
