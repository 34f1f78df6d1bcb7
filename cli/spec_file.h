// cli/spec_file.h – a graph from a file (or `-`, standard input), checked here before anybody is asked.
// Threads: pure but for reading the file.
#pragma once

#include <string>

#include "base/result.h"

namespace paddock::cli {

struct SpecFile {
  std::string text;
  std::string name;  // as messages show it
};

// kNotFound: no such file. kInvalid: every problem as a line `file:line: key: what is wrong and what is
// allowed`.
Result<SpecFile> read_spec_file(const std::string& path);

}  // namespace paddock::cli
