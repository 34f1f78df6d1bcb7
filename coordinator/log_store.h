// coordinator/log_store.h – what ranks wrote to stdout and stderr, one file a rank, as their workers send it.
// FOLDER/<graph>/<job>/<attempt>/<rank>.log. Pieces may come twice: each is written at its offset. What a worker had to
// drop is a hole, which reading passes over. Not synced: logs help people, nothing depends on them. Threads: one owner.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "base/result.h"
#include "coordinator/logs.h"
#include "coordinator/space.h"

namespace paddock::coordinator {

class LogStore final : public Logs {
 public:
  // `bytes_max`: of one file; what lies beyond is dropped, and a line at its end says so. `room` is not owned and outlives this.
  LogStore(std::filesystem::path folder, std::uint64_t bytes_max, const Space& room)
      : folder_(std::move(folder)), bytes_max_(bytes_max), room_(room) {}

  std::uint64_t size(const LogKey& key) const override;
  Result<void> write(const LogKey& key, std::uint64_t offset, std::span<const std::byte> bytes) override;
  Result<Piece> read(const LogKey& key, std::uint64_t offset) const override;
  Result<bool> remove_some(GraphId graph, std::size_t files_max) override;

 private:
  std::filesystem::path path_of(const LogKey& key) const;
  std::string end_note() const;

  std::filesystem::path folder_;
  std::uint64_t bytes_max_;
  const Space& room_;
};

}  // namespace paddock::coordinator
