// jobs/spec/document.h – YAML text (JSON is YAML) to JSON values, remembering the line of every key.
// Bounded against hostile text: depth, number of nodes with aliases expanded, size. Plain scalars are typed
// as YAML's core schema says (`true`, `12`, `1e-3`, `null`); quoted ones are text. Duplicate keys are
// refused. Threads: pure functions. Errors: values; yaml-cpp's exceptions end in document.cpp.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "jobs/spec/option_rule.h"

namespace paddock::spec {

inline constexpr std::size_t kDocumentDepthMax = 64;
inline constexpr std::size_t kDocumentNodesMax = 1'000'000;  // 64 bytes of text weigh as much as a node

struct Document {
  Json value;
  std::map<std::string, int> lines;  // "jobs.pretrain.with.steps" → from 1
  std::map<std::string, std::vector<std::string>>
      order;  // keys as written of the maps down to depth 2: "", "jobs"

  // The line of the key, or of the nearest key around it; 1 for the whole.
  int line_of(std::string_view path) const;
};

// A text that is JSON as well, which programs write and may be large, read by the parser for it, many times faster. The
// same document but for `lines`, which are not known. Nothing: it is no JSON, or something is wrong with it, and
// read_document() says what.
std::optional<Document> read_json_document(std::string_view text);

// kInvalid: `file:line: what is wrong`.
Result<Document> read_document(std::string_view text, const std::string& file);

}  // namespace paddock::spec
