#include <algorithm>
#include <iostream>
#include <memory>
#include <optional>

#include "cli/answers.h"
#include "cli/command.h"
#include "cli/connection.h"
#include "cli/output.h"

namespace paddock::cli {
namespace {

constexpr Millis kLookEvery{300};

struct Options {
  Target target;
  std::string graph;
  std::string job;
  std::uint32_t attempt = 0;
  std::uint32_t rank = 0;
  bool follows = false;
};

struct Chunk {
  std::uint32_t attempt = 0;
  std::uint64_t offset = 0;
  std::string bytes;
  std::uint64_t next = 0;  // where to ask next
  bool is_last = false;
};

class LogReader {
 public:
  LogReader(const Options& options, Connection& connection, std::uint64_t graph, bool is_json)
      : options_(options),
        connection_(connection),
        graph_(graph),
        is_json_(is_json),
        attempt_(options.attempt) {}

  Result<int> run() {
    while (true) {
      auto chunk = ask();
      if (!chunk) return tl::unexpected<Error>(chunk.error());
      if (chunk->attempt != 0) {
        attempt_ = chunk->attempt;  // stay with it, even when a newer one starts
        print(*chunk);
        offset_ = std::max(offset_, chunk->next);
      }
      if (!options_.follows && (chunk->bytes.empty() || chunk->is_last)) {
        if (chunk->attempt == 0) std::cerr << "paddock: " << options_.job << " has not started" << std::endl;
        return kDone;
      }
      if (options_.follows && (chunk->is_last || chunk->attempt == 0)) {
        const auto is_over = next_attempt();
        if (!is_over) return tl::unexpected<Error>(is_over.error());
        if (*is_over) return kDone;
      }
      if (chunk->bytes.empty()) connection_.pause(kLookEvery);
    }
  }

 private:
  Result<Chunk> ask() {
    const auto fill = [&](wire::Message::Builder message) {
      auto request = message.initLogRequest();
      request.setGraph(graph_);
      request.setJob(options_.job);
      request.setAttempt(attempt_);
      request.setRank(options_.rank);
      request.setOffset(offset_);
    };
    const auto answer = options_.follows ? connection_.ask_until_answered(wire::Message::LOG_CHUNK, fill)
                                         : connection_.ask(wire::Message::LOG_CHUNK, fill);
    if (!answer) return tl::unexpected<Error>(answer.error());
    const auto chunk = answer->message().getLogChunk();
    const auto bytes = chunk.getBytes();
    return Chunk{chunk.getAttempt(), chunk.getOffset(),
                 std::string(reinterpret_cast<const char*>(bytes.begin()), bytes.size()),
                 std::max(chunk.getNext(), chunk.getOffset() + bytes.size()), chunk.getEnded()};
  }

  void print(const Chunk& chunk) {
    if (chunk.bytes.empty()) return;
    if (!is_json_) return print_text(chunk.bytes);
    print_json_line({{"graph", graph_},
                     {"job", options_.job},
                     {"attempt", chunk.attempt},
                     {"rank", options_.rank},
                     {"offset", chunk.offset},
                     {"text", chunk.bytes}});
  }

  // Moves on to the job's next attempt if there is one. True: there is nothing more to come.
  Result<bool> next_attempt() {
    const auto found = graph_with(connection_, graph_, {.job = options_.job, .patiently = true});
    if (!found) return tl::unexpected<Error>(found.error());
    for (const Json& job : (*found)["jobs"]) {
      if (job["job"] != options_.job) continue;
      const auto newest = job["attempt"].get<std::uint32_t>();
      if (options_.attempt == 0 && newest > attempt_) {
        attempt_ = newest;
        offset_ = 0;
        std::cerr << "paddock: attempt " << newest << std::endl;
        return false;
      }
      const std::string state = text_of(job, "state");
      if (options_.attempt != 0 && newest >= options_.attempt) return true;
      return state == "succeeded" || state == "failed" || state == "cancelled" || state == "skipped";
    }
    return true;
  }

  const Options& options_;
  Connection& connection_;
  const std::uint64_t graph_;
  const bool is_json_;
  std::uint32_t attempt_;
  std::uint64_t offset_ = 0;
};

Result<int> logs(const Options& options, bool is_json) {
  auto connection = Connection::open(options.target);
  if (!connection) return tl::unexpected<Error>(connection.error());
  const auto graph = find_graph(*connection, options.graph, options.follows);
  if (!graph) return tl::unexpected<Error>(graph.error());
  return LogReader(options, *connection, *graph, is_json).run();
}

}  // namespace

void add_logs(CLI::App& app, Chosen& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("logs", "prints what a rank of a job has written");
  command->add_option("GRAPH", options->graph, "number, or name: the newest of that name")->required();
  command->add_option("JOB", options->job, "name of the job")->required();
  command->add_flag("-f,--follow", options->follows,
                    "keeps printing until the job has ended, over all its attempts");
  command->add_option("--attempt", options->attempt, "from 1; without it the newest")
      ->check(CLI::PositiveNumber);
  command->add_option("--rank", options->rank, "from 0")->capture_default_str();
  add_target_options(*command, options->target);
  add_output_option(*command, chosen);
  command->callback(
      [options, &chosen] { chosen.run = [options, &chosen] { return logs(*options, chosen.is_json); }; });
}

}  // namespace paddock::cli
