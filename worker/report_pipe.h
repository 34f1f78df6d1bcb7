// worker/report_pipe.h – the lines that a rank writes to PADDOCK_REPORT_FD, read and checked.
// docs/rank-protocol.md Whatever a rank writes, the worker stays well: a line that is not a report is counted
// and dropped, and so is one above limits::kReportLineBytesMax, without ever being kept whole. Threads: one
// owner; moves only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "worker/report.h"

namespace paddock::worker {

// One line, without its newline, as what it says; nothing: it is no report.
std::optional<Saying> parse_report_line(std::string_view line);

class ReportPipe {
 public:
  // Owns the non-blocking descriptor.
  explicit ReportPipe(int descriptor) : descriptor_(descriptor) {}
  ReportPipe(ReportPipe&& other) noexcept;
  ReportPipe& operator=(ReportPipe&&) = delete;
  ~ReportPipe();

  // What has come, at most kBytesPerRead of it; of several progress lines only the newest.
  std::vector<Saying> read();
  // All that is in the pipe, when its writers have ended.
  std::vector<Saying> read_rest();

  int descriptor() const { return descriptor_; }  // -1: closed, everything was read
  std::uint64_t lines_bad() const { return lines_bad_; }
  std::uint64_t lines_too_long() const { return lines_too_long_; }

 private:
  static constexpr std::size_t kBytesPerRead = 256u << 10;
  static constexpr int kReadsOfRest =
      64;  // a descriptor handed to a stranger could be written to without end
  void take(std::string_view bytes, std::vector<Saying>& sayings);
  void take_line(std::vector<Saying>& sayings);

  int descriptor_;
  std::string line_;
  bool is_drained_ = false;   // the last read() found the pipe empty
  bool is_skipping_ = false;  // inside a line that is too long
  std::uint64_t lines_bad_ = 0;
  std::uint64_t lines_too_long_ = 0;
};

}  // namespace paddock::worker
