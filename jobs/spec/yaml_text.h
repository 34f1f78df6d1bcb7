// jobs/spec/yaml_text.h – options as YAML that people can read, change and submit: what document.h reads.
// Threads: pure functions. Errors: none.
#pragma once

#include <string>

#include "jobs/spec/option_rule.h"

namespace paddock::spec {

// A map with a line a key, maps in it indented by two, lists on one line; text is quoted where it could be
// taken for something else. `indent`: spaces before every line. read_document() of the text gives `map` back.
// An empty map or a value that is no map: one line.
std::string to_yaml(const Json& map, int indent = 0);

}  // namespace paddock::spec
