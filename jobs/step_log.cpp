#include "jobs/step_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace paddock::jobs {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& path, const char* doing) {
  throw std::runtime_error(path.string() + ": " + doing + ": " + std::strerror(errno));
}

bool may_pass(int error) {
  return error == ENOSPC || error == EDQUOT || error == EROFS || error == EIO;
}

// Nothing where the line is none of ours: torn, or without a whole number as its step.
std::optional<std::int64_t> step_of(const std::string& line) {
  const auto json = nlohmann::json::parse(line, nullptr, false);
  const auto step = json.is_object() ? json.find("step") : json.end();
  if (step == json.end() || !step->is_number_integer()) return std::nullopt;
  // An unsigned one beyond 2^63 would come back negative.
  if (step->is_number_unsigned() && !std::in_range<std::int64_t>(step->get<std::uint64_t>()))
    return std::nullopt;
  return step->get<std::int64_t>();
}

// Bytes of the whole lines, from the first on, whose step is at most `last_step`.
std::uintmax_t kept_bytes(const std::filesystem::path& path, std::int64_t last_step) {
  if (!std::filesystem::exists(path)) return 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) refuse(path, "opening");
  std::uintmax_t bytes = 0;
  for (std::string line; std::getline(in, line) && !in.eof();) {
    const auto step = step_of(line);
    if (!step || *step > last_step) break;
    bytes += line.size() + 1;
  }
  if (in.bad()) refuse(path, "reading");  // else history would be taken for damage, and dropped
  return bytes;
}

}  // namespace

StepLog::StepLog(const std::filesystem::path& path, std::int64_t last_step) : path_(path) {
  const auto bytes = kept_bytes(path, last_step);
  descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor_ < 0) refuse(path_, "opening");
  if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0)
    refuse(path_, "dropping lines after the checkpoint");
  synced_ = static_cast<std::int64_t>(bytes);
}

StepLog::~StepLog() {
  ::close(descriptor_);
}

void StepLog::append(const nlohmann::ordered_json& line) {
  waiting_ += line.dump() + "\n";
  write_out();
}

std::string StepLog::sync() {
  if (auto problem = write_out(); !problem.empty()) return problem;
  int synced = 0;
  do {
    synced = ::fdatasync(descriptor_);
  } while (synced != 0 && errno == EINTR);
  if (synced == 0) {
    synced_ += static_cast<std::int64_t>(unsynced_.size());
    unsynced_.clear();
    return {};
  }
  if (!may_pass(errno)) refuse(path_, "syncing");
  std::string problem = path_.string() + ": syncing: " + std::strerror(errno);
  // What a failed sync leaves of the pages is unknown: all since the last good one is written anew.
  if (::ftruncate(descriptor_, synced_) != 0) refuse(path_, "dropping what could not be synced");
  waiting_.insert(0, std::exchange(unsynced_, {}));
  return problem;
}

std::string StepLog::write_out() {
  while (!waiting_.empty()) {
    const ssize_t written = ::write(descriptor_, waiting_.data(), waiting_.size());
    if (written > 0) {
      unsynced_.append(waiting_, 0, static_cast<std::size_t>(written));
      waiting_.erase(0, static_cast<std::size_t>(written));
      continue;
    }
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && !may_pass(errno)) refuse(path_, "writing");
    return path_.string() + ": writing: " + std::strerror(written < 0 ? errno : ENOSPC);
  }
  return {};
}

}  // namespace paddock::jobs
