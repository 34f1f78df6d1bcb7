// coordinator/logs.h – the output of ranks, as the coordinator keeps it: files (log_store.h), or memory in a simulation.
// Threads: one owner.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/ids.h"
#include "base/result.h"

namespace paddock::coordinator {

struct LogKey {
  JobKey job;
  std::uint32_t attempt = 0;
  std::uint32_t rank = 0;
  auto operator<=>(const LogKey&) const = default;
};

class Logs {
 public:
  virtual ~Logs() = default;
  // How far it has come: the end of the last piece that was written.
  virtual std::uint64_t size(const LogKey& key) const = 0;
  // kUnavailable: the disk refused; kExhausted: what is left of it is for the journal. The piece is lost until it is sent
  // again.
  virtual Result<void> write(const LogKey& key, std::uint64_t offset, std::span<const std::byte> bytes) = 0;

  struct Piece {
    std::string bytes;       // at most limits::kLogChunkBytesMax, without what a hole in the file reads as
    std::uint64_t next = 0;  // where to read on
    std::uint64_t file_bytes = 0;  // how long the log is now
  };
  // From `offset` on; nothing when it is not that long, or nothing was written yet. kUnavailable: the disk
  // refused.
  virtual Result<Piece> read(const LogKey& key, std::uint64_t offset) const = 0;

  // Removes what there is of the graph, about so many files at once. True: nothing is left. kUnavailable: the disk refused.
  virtual Result<bool> remove_some(GraphId graph, std::size_t files_max) = 0;
};

}  // namespace paddock::coordinator
