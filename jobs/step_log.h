// jobs/step_log.h – a file of JSON lines, one a step, that a resumed run continues as if it had never stopped.
// A line is {"step": s, …}; steps rise. Opening at a step drops every later line, and all from the first one on
// that is torn or has no whole number as its step: what stands behind damage is no continuation.
// Threads: one owner. A disk without room, or that cannot be written for a while, is waited for: lines stay in memory, in their
// order, until it takes them. Throws std::runtime_error for every other refusal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace paddock::jobs {

class StepLog {
 public:
  // Keeps the lines up to and with `last_step`, which may be any number.
  StepLog(const std::filesystem::path& path, std::int64_t last_step);
  ~StepLog();
  StepLog(const StepLog&) = delete;
  StepLog& operator=(const StepLog&) = delete;

  // Written through to the kernel, where the disk takes it: then a kill of this process loses nothing.
  void append(const nlohmann::ordered_json& line);
  // All that was appended is durable on return; else why the disk did not take it yet.
  std::string sync();

 private:
  // Empty, or why something is left.
  std::string write_out();

  const std::filesystem::path path_;
  int descriptor_ = -1;
  std::string waiting_;      // appended and not written yet
  std::string unsynced_;     // written since the last sync that went well
  std::int64_t synced_ = 0;  // bytes of the file up to there
};

}  // namespace paddock::jobs
