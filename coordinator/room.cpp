#include "coordinator/room.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <string>
#include <system_error>
#include <utility>

namespace paddock::coordinator {
namespace {

constexpr auto kLookEvery = std::chrono::milliseconds(100);
// Of the reserve: when less than this is free beside it, it is given up, before a write can fail.
constexpr std::uint64_t kLowPart = 4;

}  // namespace

Room::Room(const std::filesystem::path& folder, std::uint64_t reserve_bytes, Log log)
    : folder_(folder), file_(folder / "reserve"), reserve_bytes_(reserve_bytes), log_(std::move(log)) {
  std::error_code unmade;
  std::filesystem::create_directories(folder, unmade);  // if it cannot be made, whoever needs it says so
  is_whole_ = reserve_bytes_ == 0 || reserve();
  if (!is_whole_) give_up_reserve();
}

std::uint64_t Room::free_bytes() const {
  struct statvfs status {};
  if (statvfs(folder_.c_str(), &status) != 0)
    return std::numeric_limits<std::uint64_t>::max();  // what fails then says so itself
  return std::uint64_t{status.f_bavail} * status.f_frsize;
}

// False: there is no room for it.
bool Room::reserve() {
  const int file = open(file_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return errno != ENOSPC && errno != EDQUOT;
  const int failed = fallocate(file, 0, 0, static_cast<off_t>(reserve_bytes_)) == 0 ? 0 : errno;
  close(file);
  if (failed == 0) return true;
  const bool is_full = failed == ENOSPC || failed == EDQUOT;
  if (!is_full) unlink(file_.c_str());
  return !is_full && free_bytes() >= reserve_bytes_;
}

void Room::give_up_reserve() {
  unlink(file_.c_str());
}

void Room::look() {
  const auto now = std::chrono::steady_clock::now();
  if (reserve_bytes_ == 0 || now < look_again_at_) return;
  look_again_at_ = now + kLookEvery;
  const std::uint64_t free = free_bytes();
  if (is_whole_ && free < reserve_bytes_ / kLowPart) {
    give_up_reserve();
    is_whole_ = false;
    log_.error("disk_full", {{"folder", folder_.string()}, {"free_bytes", free}});
  } else if (!is_whole_ && free >= reserve_bytes_ + reserve_bytes_ / kLowPart && reserve()) {
    is_whole_ = true;
    log_.info("disk_has_room", {{"folder", folder_.string()}, {"free_bytes", free}});
  }
}

Result<void> Room::check() const {
  if (is_whole_) return {};
  return fail(Code::kExhausted,
              "the coordinator's disk is full (" + folder_.string() +
                  "): " + std::to_string(reserve_bytes_ >> 20) +
                  " MiB are kept there for what was accepted before, which goes on; free some and "
                  "submit again");
}

}  // namespace paddock::coordinator
