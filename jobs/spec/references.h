// jobs/spec/references.h – `${job.artifact}` in options, commands and environments: what an earlier job has
// made. In `with`, every `${` starts a reference. In `command` and `environment` only text of exactly that
// form does, since
// `${HOME}` there is the shell's. `$${` stands for `${` everywhere. A job's name may hold dots: the last one
// splits. Threads: pure functions.
#pragma once

#include <compare>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "jobs/spec/graph_spec.h"

namespace paddock::spec {

struct Reference {
  std::string job;
  std::string artifact;
  auto operator<=>(const Reference&) const = default;
};
// What stands in place of each: the artifact's path to run with, its hash to make a stage key.
using ReferenceValues = std::map<Reference, std::string>;

enum class Place { kOptions, kCommand };

// The references in `text` in order. kInvalid: a `${` in options that is none.
Result<std::vector<Reference>> references_in(std::string_view text, Place place);

// Those of a whole job, its `if` not among them, sorted and each once. Malformed ones are passed over: parse_graph refused them.
std::vector<Reference> references_of(const JobSpec& job);

// The one that stands in a text of `if`; nothing: it is something else.
std::optional<Reference> condition_reference(std::string_view text);

// kNotFound: a reference has no value. kInvalid: as references_in().
Result<std::string> substitute(std::string_view text, Place place, const ReferenceValues& values);
// In every text of `with` at any depth; keys stay.
Result<Json> substitute(const Json& with, const ReferenceValues& values);
// In `with`, `command` and `environment`.
Result<JobSpec> substitute(const JobSpec& job, const ReferenceValues& values);

}  // namespace paddock::spec
