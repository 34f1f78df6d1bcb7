#include "cli/spec_file.h"

#include <fstream>
#include <iostream>

#include "base/limits.h"
#include "jobs/spec/parse.h"

namespace paddock::cli {
namespace {

// One byte more than is allowed, so that parse_graph() says that it is too long.
std::string read_bounded(std::istream& stream) {
  std::string text(limits::kSpecBytesMax + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return text;
}

}  // namespace

Result<SpecFile> read_spec_file(const std::string& path) {
  SpecFile file{"", path == "-" ? "standard input" : path};
  if (path == "-") {
    file.text = read_bounded(std::cin);
  } else {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) return fail(Code::kNotFound, path + " cannot be opened");
    file.text = read_bounded(stream);
    if (stream.bad()) return fail(Code::kNotFound, path + " cannot be read; is it a folder?");
  }
  const auto graph = spec::parse_graph(file.text, file.name);
  if (!graph) return tl::unexpected<Error>(graph.error());
  return file;
}

}  // namespace paddock::cli
