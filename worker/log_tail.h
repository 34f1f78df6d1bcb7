// worker/log_tail.h – follows the file that a rank writes its output to, in pieces with their offsets.
// Output goes to a file and not to a pipe, so that nothing the daemon does can ever block a rank.
// Threads: one owner; moves only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace paddock::worker {

struct LogPiece {
  std::uint64_t offset = 0;
  std::string bytes;  // at most limits::kLogChunkBytesMax; empty only in a last piece
  bool is_last = false;
};

class LogTail {
 public:
  explicit LogTail(std::filesystem::path path) : path_(std::move(path)) {}
  LogTail(LogTail&& other) noexcept;
  LogTail& operator=(LogTail&&) = delete;
  ~LogTail();

  // The next piece, if there is one; the same again until passed() is told about it.
  std::optional<LogPiece> next();
  void passed(const LogPiece& piece);
  // From the first byte again.
  void rewind();
  // Nobody writes any more: what is there now ends with a last piece.
  void finish() { is_finished_ = true; }
  // The last piece has been passed.
  bool is_over() const { return is_over_; }

 private:
  std::filesystem::path path_;
  int file_ = -1;
  std::uint64_t offset_ = 0;
  bool is_finished_ = false;
  bool is_over_ = false;
};

}  // namespace paddock::worker
