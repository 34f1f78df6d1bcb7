// cli/answers.h – the protocol's answers as JSON: what `--output json` prints and what the tables are made
// from. The shapes are described in docs/operator.md; fields are only ever added. Threads: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>

#include "base/result.h"
#include "cli/connection.h"
#include "cli/output.h"
#include "wire/envelope.h"

namespace paddock::cli {

std::string to_text(capnp::Text::Reader text);
Json texts(capnp::List<capnp::Text>::Reader list);
// null: it has not come.
Json moment(std::int64_t unix_ms);

// {"graph", "name", "state", "submitted_unix_ms", "ended_unix_ms", "jobs": […]}; moments that have not come
// are null.
Json to_json(wire::Status::Graph::Reader graph);
Json to_json(wire::Planned::Job::Reader job);
Json to_json(wire::Node::Reader node);
Json to_json(wire::Checkpoint::Reader checkpoint);

// All graphs, without their jobs. Waits for the coordinator if `patiently`.
Result<Json> graphs(Connection& connection, bool patiently = false);

// Which of a graph's jobs.
struct JobsWanted {
  std::size_t limit = std::numeric_limits<std::size_t>::max();
  std::string after = {};
  std::string state = {};
  std::string job = {};
  bool patiently = false;
};
// A graph with those of its jobs that are wanted, as its answers bring them: in several where it is large. "next" in it
// names the last job if there are more behind it, else it is null. kNotFound: there is no such graph.
Result<Json> graph_with(Connection& connection, std::uint64_t id, const JobsWanted& wanted = {});
// How many jobs it has, whether they are there or not.
std::uint64_t jobs_of(const Json& graph);
// "active, 100000 jobs: 99990 waiting, 10 running"
std::string counts_text(const Json& graph);
// One graph by number, or the newest of that name. kNotFound: there is none. Waits for the coordinator if `patiently`.
Result<std::uint64_t> find_graph(Connection& connection, const std::string& number_or_name,
                                 bool patiently = false);

struct AboutGraph {
  std::uint64_t graph = 0;
  wire::Envelope answer;
};
// One question about a graph, by number or name, on a connection of its own; `fill` is given its number. Errors as find_graph
// and Connection::ask.
Result<AboutGraph> ask_about(const Target& target, const std::string& number_or_name,
                             wire::Message::Which expected,
                             const std::function<void(wire::Message::Builder, std::uint64_t)>& fill);

}  // namespace paddock::cli
