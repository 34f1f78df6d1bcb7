#include "worker/attempt_folders.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <system_error>
#include <utility>

namespace paddock::worker {

namespace fs = std::filesystem;

namespace {

// Ended folders beyond those to be kept that wait for another attempt; more are removed.
constexpr std::size_t kSpareMax = 64;

}  // namespace

fs::path attempt_folder(const fs::path& state, Fence fence) {
  return state / "attempts" / std::to_string(fence.value);
}

std::string log_name(RankId rank) {
  return "rank-" + std::to_string(rank.value) + ".log";
}

AttemptFolders::AttemptFolders(fs::path state, std::size_t kept) : state_(std::move(state)), kept_(kept) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(state_ / "attempts", error)) {
    const std::string name = entry.path().filename();
    std::uint64_t number = 0;
    const auto [end, parse_error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (parse_error == std::errc() && end == name.data() + name.size())
      ended_.push_back(Folder{Fence(number), {}, false});
  }
  std::ranges::sort(ended_, {}, [](const Folder& folder) { return folder.fence; });
  for (; ended_.size() > kept_; ended_.pop_front()) remove(ended_.front());
}

void AttemptFolders::remove(const Folder& folder) const {
  std::error_code error;  // what cannot be removed now is found again by the next run
  fs::remove_all(attempt_folder(state_, folder.fence), error);
}

// False: it cannot be had as another's, and is gone. Emptied before it gets its new name, so that no log ever
// lies under a fence that did not write it.
bool AttemptFolders::reuse(Folder& folder, Fence fence, const std::string& log) const {
  const fs::path from = attempt_folder(state_, folder.fence);
  bool is_empty = folder.is_known;
  for (const std::string& name : folder.logs) {
    const std::string path = (from / name).string();
    is_empty = is_empty &&
               (name == log ? truncate(path.c_str(), 0) == 0 : unlink(path.c_str()) == 0 || errno == ENOENT);
  }
  if (is_empty && rename(from.c_str(), attempt_folder(state_, fence).c_str()) == 0) return true;
  remove(folder);
  return false;
}

Result<fs::path> AttemptFolders::open(Fence fence, RankId rank, bool is_private) {
  const fs::path path = attempt_folder(state_, fence);
  const std::string log = log_name(rank);
  const auto [at, is_new] = live_.try_emplace(fence, Folder{fence, {}, true});
  at->second.logs.insert(log);
  if (!is_new) return path;
  if (ended_.size() > kept_) {
    Folder oldest = std::move(ended_.front());
    ended_.pop_front();
    if (is_private)
      remove(oldest);
    else if (reuse(oldest, fence, log))
      return path;
  }
  std::error_code error;
  if (mkdir(path.c_str(), 0755) != 0) fs::create_directories(path, error);
  if (!error) return path;
  live_.erase(at);
  return fail(Code::kUnavailable, "making the folder " + path.string() + ": " + error.message());
}

void AttemptFolders::ended(Fence fence) {
  auto folder = live_.extract(fence);
  if (folder.empty()) return;
  ended_.push_back(std::move(folder.mapped()));
  for (; ended_.size() > kept_ + kSpareMax; ended_.pop_front()) remove(ended_.front());
}

}  // namespace paddock::worker
