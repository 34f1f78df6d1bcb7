#include "jobs/report_channel.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <iostream>

#include "base/limits.h"

namespace paddock::jobs {
namespace {

int descriptor_from_environment() {
  const char* text = std::getenv("PADDOCK_REPORT_FD");
  if (text == nullptr) return -1;
  const int descriptor = std::atoi(text);
  return ::fcntl(descriptor, F_GETFD) == -1 ? -1 : descriptor;
}

}  // namespace

ReportChannel ReportChannel::from_environment(bool is_quiet) {
  return ReportChannel(descriptor_from_environment(), is_quiet);
}

void ReportChannel::line(const nlohmann::json& report) {
  const std::lock_guard lock(mutex_);
  write_line(report);
}

void ReportChannel::write_line(const nlohmann::json& report) {
  using nlohmann::json;
  std::string text = report.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() >= limits::kReportLineBytesMax) return;
  if (descriptor_ < 0) {
    if (!is_quiet_) std::cout << text << std::endl;
    return;
  }
  text += '\n';
  std::string_view rest(text);
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // the worker is gone; its guard ends this process
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

void ReportChannel::progress(const nlohmann::json& fields) {
  const std::lock_guard lock(mutex_);
  progress_ = fields;
  write_progress();
}

void ReportChannel::health(const std::string& sentence) {
  const std::lock_guard lock(mutex_);
  health_ = sentence;
  write_progress();
}

void ReportChannel::write_progress() {
  nlohmann::json said = progress_;
  if (!health_.empty() && !said.contains("health")) said["health"] = health_;
  write_line({{"progress", said}});
}

void ReportChannel::artifact(const std::string& name, const std::string& path, const std::string& hash) {
  line({{"artifact", {{"name", name}, {"path", path}, {"hash", hash}}}});
}

void ReportChannel::checkpoint(std::int64_t step, const std::string& path, const std::string& hash,
                               std::uint64_t bytes) {
  line({{"checkpoint", {{"step", step}, {"path", path}, {"hash", hash}, {"bytes", bytes}}}});
}

void ReportChannel::failure(const std::string& code, const std::string& message) {
  line({{"failure", {{"code", code}, {"message", message.substr(0, 4'000)}}}});
}

}  // namespace paddock::jobs
