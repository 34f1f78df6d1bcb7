// jobs/spec/parse.h – YAML or JSON text to a checked GraphSpec, or every reason why not.
// Bounds: limits::kSpecBytesMax of text, limits::kJobsPerGraphMax jobs, depth and nodes as in document.h.
// Threads: pure functions but for the time zone of a schedule, which is looked up on this machine. Errors: values; nothing of yaml-cpp or nlohmann throws outward.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "jobs/spec/graph_spec.h"

namespace paddock::spec {

// kInvalid: the message has one line a problem, each `file:line: key: what is wrong and what is allowed`, in
// the order of the lines. `file` is only shown. What is returned has passed all checks: kinds, options,
// needs, references, cycles.
Result<GraphSpec> parse_graph(std::string_view text, const std::string& file);

// JSON Schema (2020-12) of a submission; kept in docs/job-spec.schema.json.
Json submission_schema();

}  // namespace paddock::spec
