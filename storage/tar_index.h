// storage/tar_index.h – where the members of somebody else's tar lie, kept in a file so that the tar is read
// whole only once. Grammar: docs/dataset-format.md. The index stands beside the tar as
// NAME.tar.paddock-index, or where that folder cannot be written, in a spare place. It is good for the tar of
// that size and time of change only.
// Threads: any; two who make the same index at once write the same bytes, each atomically.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "storage/disk.h"
#include "storage/tar_reader.h"

namespace paddock::storage {

inline constexpr const char* kTarIndexSuffix = ".paddock-index";
inline constexpr std::uint64_t kTarIndexBytesMax = 4ull << 30;  // some 30,000,000 members

struct TarIndex {
  std::uint64_t bytes = 0;  // of the tar
  std::int64_t modified_ns = 0;
  TarContents contents;
};

std::string print_tar_index(const TarIndex& index);
// kCorrupt: not as print_tar_index writes it. kInvalid: a newer format.
Result<TarIndex> parse_tar_index(std::string_view text);

// The index of `tar`: the one beside it, or the one at `spare`, if it is good; else the tar is read and its
// index written beside it, or at `spare` (its folders are made; empty: nowhere) when that is refused. Errors
// as read_tar, naming the tar; kConflict: the tar was changed meanwhile.
Result<TarIndex> open_tar_index(Disk& disk, const fs::path& tar, const fs::path& spare);

// Whether one of these places has an index that begins as one of this tar does. Reads a few bytes.
bool seems_indexed(Disk& disk, const fs::path& tar, const fs::path& spare);

}  // namespace paddock::storage
