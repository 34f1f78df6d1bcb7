#include "jobs/step_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <string>

namespace paddock::jobs {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& path, const char* doing) {
  throw std::runtime_error(path.string() + ": " + doing + ": " + std::strerror(errno));
}

// Bytes of the whole lines whose step is at most `last_step`.
std::uintmax_t kept_bytes(const std::filesystem::path& path, std::int64_t last_step) {
  std::ifstream in(path, std::ios::binary);
  std::uintmax_t bytes = 0;
  for (std::string line; std::getline(in, line) && !in.eof();) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object() || json.value("step", last_step + 1) > last_step) break;
    bytes += line.size() + 1;
  }
  return bytes;
}

}  // namespace

StepLog::StepLog(const std::filesystem::path& path, std::int64_t last_step) : path_(path) {
  const auto bytes = kept_bytes(path, last_step);
  descriptor_ = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor_ < 0) refuse(path_, "opening");
  if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0)
    refuse(path_, "dropping lines after the checkpoint");
}

StepLog::~StepLog() {
  ::close(descriptor_);
}

void StepLog::append(const nlohmann::ordered_json& line) {
  const std::string text = line.dump() + "\n";
  if (::write(descriptor_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    refuse(path_, "writing");
}

void StepLog::sync() {
  if (::fdatasync(descriptor_) != 0) refuse(path_, "syncing");
}

}  // namespace paddock::jobs
