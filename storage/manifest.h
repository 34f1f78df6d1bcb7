// storage/manifest.h – the text of a checkpoint's manifest.json. Grammar: docs/checkpoint-format.md.
// Unknown fields are passed over; a format number above ours is refused (kInvalid), so that a newer
// checkpoint is never mistaken for a damaged one. Threads: pure functions and values.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"

namespace paddock::storage {

inline constexpr std::uint64_t kManifestFormat = 1;

struct ManifestTensor {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t offset = 0;  // from the beginning of the file
  std::uint64_t bytes = 0;
  std::string hash;
};

struct ManifestFile {
  std::string name;
  std::uint64_t bytes = 0;
  std::uint64_t header_bytes = 0;  // what comes before the first tensor
  std::string header_hash;
  std::vector<ManifestTensor> tensors;  // they and the header cover every byte of the file
};

struct Manifest {
  std::int64_t step = 0;
  Fence fence;
  nlohmann::json state;
  std::vector<ManifestFile> files;
};

// One line of JSON with a newline. kInvalid: the state has text that is not UTF-8, or the text is above
// limits::kManifestBytesMax.
Result<std::string> print_manifest(const Manifest& manifest);
// kCorrupt: `text` is not a manifest; the message says which field.
Result<Manifest> parse_manifest(std::string_view text);

}  // namespace paddock::storage
