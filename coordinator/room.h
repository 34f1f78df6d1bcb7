// coordinator/room.h – whether the disk of the state folder has room, and a reserve for when it has not: a file of
// nothing, given up when others have filled the disk, so that what was accepted before can still be journaled to its end.
// While the reserve is not whole, nothing new is accepted. It is made again as soon as there is room.
// Threads: one owner. Errors: none; where space cannot be reserved (some network file systems) only what is free counts.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>

#include "base/log.h"
#include "base/result.h"
#include "coordinator/space.h"

namespace paddock::coordinator {

class Room final : public Space {
 public:
  // Makes the folder if it is missing.
  // `reserve_bytes` 0: there is always room.
  Room(const std::filesystem::path& folder, std::uint64_t reserve_bytes, Log log);

  // At most every so often.
  void look() override;
  Result<void> check() const override;
  bool is_whole() const override { return is_whole_; }
  // On the folder's disk, for this user; where nobody can tell, as many as there are.
  std::uint64_t free_bytes() const;

 private:
  bool reserve();
  void give_up_reserve();

  const std::filesystem::path folder_;
  const std::filesystem::path file_;
  const std::uint64_t reserve_bytes_;
  const Log log_;
  bool is_whole_ = true;
  std::chrono::steady_clock::time_point look_again_at_;
};

}  // namespace paddock::coordinator
