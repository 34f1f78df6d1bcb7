#include "worker/attempt_folders.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <system_error>
#include <utility>

namespace paddock::worker {

namespace fs = std::filesystem;

fs::path attempt_folder(const fs::path& state, Fence fence) {
  return state / "attempts" / std::to_string(fence.value);
}

AttemptFolders::AttemptFolders(fs::path state, std::size_t kept) : state_(std::move(state)), kept_(kept) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(state_ / "attempts", error)) {
    const std::string name = entry.path().filename();
    std::uint64_t number = 0;
    const auto [end, parse_error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (parse_error == std::errc() && end == name.data() + name.size()) ended_.emplace_back(number);
  }
  std::ranges::sort(ended_);
  remove_surplus();
}

void AttemptFolders::ended(Fence fence) {
  ended_.push_back(fence);
  remove_surplus();
}

void AttemptFolders::remove_surplus() {
  for (; ended_.size() > kept_; ended_.pop_front()) {
    std::error_code error;  // what cannot be removed now is found again by the next run
    fs::remove_all(attempt_folder(state_, ended_.front()), error);
  }
}

}  // namespace paddock::worker
