// storage/safetensors.h – tensors in a file: the safetensors format (github.com/huggingface/safetensors),
// read strictly and written deterministically. File: 8 bytes little-endian length N of the header, N bytes of
// JSON, then the tensors' bytes back to back. The reader takes nothing on trust: bounds, offsets that are
// sorted and leave no gap, sizes that agree with dtype and shape, no name or field twice; each defect has its
// own message (kCorrupt). Bytes are little-endian, row-major. Threads: pure functions and values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/disk.h"

namespace paddock::storage {

inline constexpr std::size_t kSafetensorsHeaderBytesMax = 100'000'000;  // as the reference implementation
inline constexpr std::size_t kTensorDimensionsMax = 16;

// A named tensor whose bytes lie elsewhere, unaligned perhaps: copy them out, do not cast the pointer.
struct TensorBytes {
  std::string name;
  std::string dtype;  // "F32", "BF16", "I64", …: see bytes_per_element
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;  // not owned
};

// BOOL U8 I8 F8_E4M3 F8_E5M2: 1 · U16 I16 F16 BF16: 2 · U32 I32 F32: 4 · U64 I64 F64: 8. Empty for any other
// name.
std::optional<std::size_t> bytes_per_element(std::string_view dtype);

using TensorMetadata = std::map<std::string, std::string>;

struct Safetensors {
  std::vector<TensorBytes> tensors;  // in the order of their bytes
  TensorMetadata metadata;           // the header's __metadata__
  std::size_t header_bytes = 0;      // where the first tensor's bytes begin
};

// The tensors in `file`, whose spans point into it. `name` is for messages. kCorrupt: not a whole,
// well-formed file.
Result<Safetensors> parse_safetensors(std::span<const std::byte> file, std::string_view name);

// The first bytes of a file with these tensors in this order: length and header, padded with spaces to a
// multiple of 8. kInvalid: unknown dtype, bytes that do not fit the shape, a name twice or not printable
// ASCII, a header above the bound.
Result<std::string> safetensors_header(const std::vector<TensorBytes>& tensors,
                                       const TensorMetadata& metadata = {});

// A file with its bytes: what read_safetensors gives. Movable; the tensors' spans stay valid while it lives.
struct SafetensorsFile {
  Bytes bytes;
  Safetensors contents;
  // nullptr when there is none of that name.
  const TensorBytes* find(std::string_view name) const;
};

Result<SafetensorsFile> read_safetensors(Disk& disk, const fs::path& path);
// Atomic and durable on return.
Result<void> write_safetensors(Disk& disk, const fs::path& path, const std::vector<TensorBytes>& tensors,
                               const TensorMetadata& metadata = {});

}  // namespace paddock::storage
