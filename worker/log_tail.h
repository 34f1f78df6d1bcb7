// worker/log_tail.h – follows the file that a rank writes its output to, in pieces with their offsets, as far as the
// coordinator has taken them. Output goes to a file and not to a pipe, so that nothing the daemon does can ever block a
// rank; so the file is also the spool for what cannot be sent, and it is bounded: its oldest bytes are given back to the
// disk, and if they had not been taken, a note stands in their place and they are counted.
//
// Invariants. 1. taken() ≤ what was sent. 2. What lies before `kept_from_` is gone; the note about a gap is sent at the
// offset where the gap begins, the next piece at the one where it ends, so offsets never move.
// Threads: one owner; moves only.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>

namespace paddock::worker {

struct LogPiece {
  std::uint64_t offset = 0;
  std::string bytes;  // at most limits::kLogChunkBytesMax; empty only in a last piece
  bool is_last = false;
  std::uint64_t next = 0;  // where the piece after it begins: beyond its end when a gap follows
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
  // All before this offset is with the coordinator.
  void taken(std::uint64_t offset);
  // Sent and not yet known to be taken.
  std::uint64_t bytes_in_flight() const;
  // From this offset again (or from where the gap around it ends).
  void go_to(std::uint64_t offset);
  // Nobody wants the rest.
  void give_up();
  // Keeps about the newest `bytes_max` of the file. Returns how many bytes were lost by that which had not been sent.
  std::uint64_t bound(std::uint64_t bytes_max);
  // Nobody writes any more: what is there now ends with a last piece.
  void finish() { is_finished_ = true; }
  // The last piece has been passed.
  bool is_over() const { return is_over_; }
  std::uint64_t bytes_dropped() const { return bytes_dropped_; }

 private:
  struct Flight {
    std::uint64_t end = 0;  // of the piece, at the coordinator
    std::uint64_t bytes = 0;
  };
  bool open_file();
  std::uint64_t file_bytes() const;
  LogPiece note() const;

  std::filesystem::path path_;
  int file_ = -1;
  std::uint64_t offset_ = 0;  // where the next piece begins
  std::uint64_t taken_ = 0;
  std::deque<Flight> in_flight_;
  std::uint64_t gap_from_ = 0;  // the newest gap: [gap_from_, kept_from_)
  std::uint64_t kept_from_ = 0;
  std::uint64_t bytes_dropped_ = 0;
  bool is_finished_ = false;
  bool is_over_ = false;
};

}  // namespace paddock::worker
