// coordinator/log_store.h – what ranks wrote to stdout and stderr, one file a rank, as their workers send it.
// FOLDER/<graph>/<job>/<attempt>/<rank>.log. Pieces may come twice and in any order: each is written at its
// offset, and a piece that was lost reads as zeros until its worker sends the log again after its next join.
// Not synced: logs help people, nothing depends on them. Threads: one owner.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace paddock::coordinator {

struct LogKey {
  JobKey job;
  std::uint32_t attempt = 0;
  std::uint32_t rank = 0;
};

class LogStore {
 public:
  // `bytes_max`: of one file; what lies beyond is dropped.
  LogStore(std::filesystem::path folder, std::uint64_t bytes_max)
      : folder_(std::move(folder)), bytes_max_(bytes_max) {}

  // kUnavailable: the disk refused; the piece is lost until it is sent again.
  Result<void> write(const LogKey& key, std::uint64_t offset, std::span<const std::byte> bytes);

  struct Piece {
    std::string bytes;             // at most limits::kLogChunkBytesMax
    std::uint64_t file_bytes = 0;  // how long the log is now
  };
  // From `offset` on; nothing when it is not that long, or nothing was written yet. kUnavailable: the disk
  // refused.
  Result<Piece> read(const LogKey& key, std::uint64_t offset) const;

 private:
  std::filesystem::path path_of(const LogKey& key) const;

  std::filesystem::path folder_;
  std::uint64_t bytes_max_;
};

}  // namespace paddock::coordinator
