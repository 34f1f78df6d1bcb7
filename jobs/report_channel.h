// jobs/report_channel.h – what a rank tells its worker, one JSON object a line; grammar in docs/rank-protocol.md.
// Lines go to the file descriptor in PADDOCK_REPORT_FD; without one (a rank started by hand) progress, artifacts and
// failures are short text on stdout. Threads: any (a line is written whole under a lock). Errors: a worker that went away
// is no error of the rank; lines are dropped then.
#pragma once

#include <cstdint>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

namespace paddock::jobs {

class ReportChannel {
 public:
  // By the environment; `is_quiet`: a rank other than 0, which says nothing on stdout.
  static ReportChannel from_environment(bool is_quiet = false);
  explicit ReportChannel(int descriptor, bool is_quiet = false)
      : descriptor_(descriptor), is_quiet_(is_quiet) {}

  // {"phase", "step", "steps", "loss", "rate", "unit", "seconds_left", "quarantined"}, each optional.
  void progress(const nlohmann::json& fields);
  // Says the last progress again, with what is wrong: "health", which all further progress has that says nothing of it itself.
  // Empty: all is well again.
  void health(const std::string& sentence);
  // A named output that is durable already. `hash` identifies its content for the stage cache.
  void artifact(const std::string& name, const std::string& path, const std::string& hash);
  // A checkpoint that is durable already.
  void checkpoint(std::int64_t step, const std::string& path, const std::string& hash, std::uint64_t bytes);
  // `code`: name_of(Code); `message`: what, where, what to do.
  void failure(const std::string& code, const std::string& message);

 private:
  void line(const nlohmann::json& report);
  // With the lock.
  void write_line(const nlohmann::json& report);
  void write_progress();

  const int descriptor_;  // -1: none
  const bool is_quiet_;
  std::mutex mutex_;
  nlohmann::json progress_ = nlohmann::json::object();
  std::string health_;
};

}  // namespace paddock::jobs
