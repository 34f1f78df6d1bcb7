// coordinator/log_store.h – what ranks wrote to stdout and stderr, one file a rank, as their workers send it.
// FOLDER/<graph>/<job>/<attempt>/<rank>.log. Pieces may come twice: each is written at its offset. What a worker had to
// drop is a hole, which reading passes over. Not synced: logs help people, nothing depends on them. Threads: one owner.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "base/ids.h"
#include "base/result.h"
#include "coordinator/room.h"

namespace paddock::coordinator {

struct LogKey {
  JobKey job;
  std::uint32_t attempt = 0;
  std::uint32_t rank = 0;
};

class LogStore {
 public:
  // `bytes_max`: of one file; what lies beyond is dropped. `room` is not owned and outlives this.
  LogStore(std::filesystem::path folder, std::uint64_t bytes_max, const Room& room)
      : folder_(std::move(folder)), bytes_max_(bytes_max), room_(room) {}

  // How far it has come: the end of the last piece that was written.
  std::uint64_t size(const LogKey& key) const;
  // kUnavailable: the disk refused; kExhausted: what is left of it is for the journal. The piece is lost until it is sent
  // again.
  Result<void> write(const LogKey& key, std::uint64_t offset, std::span<const std::byte> bytes);

  struct Piece {
    std::string bytes;       // at most limits::kLogChunkBytesMax, without what a hole in the file reads as
    std::uint64_t next = 0;  // where to read on
    std::uint64_t file_bytes = 0;  // how long the log is now
  };
  // From `offset` on; nothing when it is not that long, or nothing was written yet. kUnavailable: the disk
  // refused.
  Result<Piece> read(const LogKey& key, std::uint64_t offset) const;

 private:
  std::filesystem::path path_of(const LogKey& key) const;

  std::filesystem::path folder_;
  std::uint64_t bytes_max_;
  const Room& room_;
};

}  // namespace paddock::coordinator
