// cli/answers.h – the protocol's answers as JSON: what `--output json` prints and what the tables are made
// from. The shapes are described in docs/operator.md; fields are only ever added. Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "cli/connection.h"
#include "cli/output.h"
#include "wire/envelope.h"

namespace paddock::cli {

std::string to_text(capnp::Text::Reader text);

// {"graph", "name", "state", "submitted_unix_ms", "ended_unix_ms", "jobs": […]}; moments that have not come
// are null.
Json to_json(wire::Status::Graph::Reader graph);
Json to_json(wire::Planned::Job::Reader job);
Json to_json(wire::Node::Reader node);
Json to_json(wire::Checkpoint::Reader checkpoint);

// All graphs, without their jobs (id 0), or one with them. Waits for the coordinator if `patiently`.
Result<Json> graphs(Connection& connection, std::uint64_t id, bool patiently = false);
// One graph by number, or the newest of that name. kNotFound: there is none. Waits for the coordinator if `patiently`.
Result<std::uint64_t> find_graph(Connection& connection, const std::string& number_or_name,
                                 bool patiently = false);

}  // namespace paddock::cli
