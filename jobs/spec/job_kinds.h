// jobs/spec/job_kinds.h – the kinds of job there are: their options, artifacts and what the cache may know of
// them. A new kind is its own <kind>.h with a table, and one entry in job_kinds.cpp. Threads: constants.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "jobs/spec/option_table.h"

namespace paddock::spec {

inline constexpr std::string_view kCommandKind = "command";

struct JobKind {
  std::string name;
  std::string doc;  // one sentence
  // Names that references may use, of a job with such options (a recipe's are in them; they may be wrong). Empty: any.
  std::function<std::vector<std::string>(const Json& with)> artifacts;
  bool is_cacheable = false;        // a function of its options: equal stage keys are equal results
  std::int64_t format_version = 1;  // raised when the same options would give another result
  // Options that change what is kept, how fast, or how patient it is, never the result: {"run", "hang_seconds"}. A job goes on
  // with other values of them, and the stage key leaves them out.
  std::vector<std::pair<std::string, std::string>> free_options = {};
  // Options that came when there were stages and runs already, with the value that leaves a job as it was without them: with it
  // they are as free.
  struct LaterOption {
    std::string group, name;
    Json as_before;
  };
  std::vector<LaterOption> later_options = {};
  // `with` → options with all defaults, or every problem. References pass as text.
  std::function<tl::expected<Json, Problems>(const Json& with)> resolve;
  std::function<Json()> schema;  // of `with`
  // Pairs of options of which only one is given: what lies over the other takes its place.
  std::vector<std::pair<std::string, std::string>> alternatives = {};
};

const std::vector<JobKind>& job_kinds();
// nullptr: no such kind.
const JobKind* find_job_kind(std::string_view name);
std::vector<std::string> job_kind_names();

// What a stage key and a run's identity are made of: the options without those that are free, and without later ones that have the
// value from before.
Json bound_options(const JobKind& kind, Json options);

}  // namespace paddock::spec
