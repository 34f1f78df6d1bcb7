#include "worker/log_tail.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/limits.h"

namespace paddock::worker {

LogTail::LogTail(LogTail&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::exchange(other.file_, -1)),
      offset_(other.offset_),
      is_finished_(other.is_finished_),
      is_over_(other.is_over_) {}

LogTail::~LogTail() {
  if (file_ >= 0) close(file_);
}

std::optional<LogPiece> LogTail::next() {
  if (is_over_) return std::nullopt;
  if (file_ < 0) file_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status {};
  const bool is_there = file_ >= 0 && fstat(file_, &status) == 0;
  const std::uint64_t file_bytes = is_there ? static_cast<std::uint64_t>(status.st_size) : 0;
  const std::uint64_t ahead = file_bytes > offset_ ? file_bytes - offset_ : 0;
  LogPiece piece{offset_, std::string(std::min<std::uint64_t>(ahead, limits::kLogChunkBytesMax), '\0'),
                 false};
  const ssize_t length =
      ahead == 0 ? 0 : pread(file_, piece.bytes.data(), piece.bytes.size(), static_cast<off_t>(offset_));
  piece.bytes.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  // A short piece of a finished file reaches its end; a rank that never started has no file, and an empty
  // last piece.
  piece.is_last = is_finished_ && piece.bytes.size() < limits::kLogChunkBytesMax;
  if (piece.bytes.empty() && !piece.is_last) return std::nullopt;
  return piece;
}

void LogTail::passed(const LogPiece& piece) {
  offset_ = piece.offset + piece.bytes.size();
  is_over_ = piece.is_last;
}

void LogTail::rewind() {
  offset_ = 0;
  is_over_ = false;
}

}  // namespace paddock::worker
