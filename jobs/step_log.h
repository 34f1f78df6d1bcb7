// jobs/step_log.h – a file of JSON lines, one a step, that a resumed run continues as if it had never stopped.
// A line is {"step": s, …}; steps rise. Opening at a step drops every later line, and all from the first one on
// that is torn or has no whole number as its step: what stands behind damage is no continuation.
// Threads: one owner. Throws std::runtime_error when the disk refuses.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>

namespace paddock::jobs {

class StepLog {
 public:
  // Keeps the lines up to and with `last_step`, which may be any number.
  StepLog(const std::filesystem::path& path, std::int64_t last_step);
  ~StepLog();
  StepLog(const StepLog&) = delete;
  StepLog& operator=(const StepLog&) = delete;

  // Written through to the kernel: a kill of this process loses nothing.
  void append(const nlohmann::ordered_json& line);
  // Durable on return.
  void sync();

 private:
  const std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace paddock::jobs
