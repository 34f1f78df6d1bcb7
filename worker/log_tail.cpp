#include "worker/log_tail.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/limits.h"

namespace paddock::worker {
namespace {

// What is given back to the disk is whole blocks, many at a time.
constexpr std::uint64_t kBlockBytes = 64u << 10;

}  // namespace

LogTail::LogTail(LogTail&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::exchange(other.file_, -1)),
      offset_(other.offset_),
      taken_(other.taken_),
      in_flight_(std::move(other.in_flight_)),
      gap_from_(other.gap_from_),
      kept_from_(other.kept_from_),
      bytes_dropped_(other.bytes_dropped_),
      is_finished_(other.is_finished_),
      is_over_(other.is_over_) {}

LogTail::~LogTail() {
  if (file_ >= 0) close(file_);
}

bool LogTail::open_file() {
  if (file_ < 0) file_ = open(path_.c_str(), O_RDWR | O_CLOEXEC);
  return file_ >= 0;
}

std::uint64_t LogTail::file_bytes() const {
  struct stat status {};
  return file_ >= 0 && fstat(file_, &status) == 0 ? static_cast<std::uint64_t>(status.st_size) : 0;
}

LogPiece LogTail::note() const {
  std::string text =
      "\n[paddock: " + std::to_string(kept_from_ - offset_) +
      " bytes of output were dropped here: they waited for the coordinator longer than there was room]\n";
  text.resize(std::min<std::uint64_t>(text.size(), kept_from_ - offset_));  // never over what was kept
  return LogPiece{offset_, std::move(text), false, kept_from_};
}

std::optional<LogPiece> LogTail::next() {
  if (is_over_) return std::nullopt;
  const bool is_there = open_file();
  if (offset_ < kept_from_) return note();
  const std::uint64_t size = is_there ? file_bytes() : 0;
  const std::uint64_t ahead = size > offset_ ? size - offset_ : 0;
  LogPiece piece{offset_, std::string(std::min<std::uint64_t>(ahead, limits::kLogChunkBytesMax), '\0'), false,
                 0};
  const ssize_t length =
      ahead == 0 ? 0 : pread(file_, piece.bytes.data(), piece.bytes.size(), static_cast<off_t>(offset_));
  piece.bytes.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  piece.next = offset_ + piece.bytes.size();
  // A short piece of a finished file reaches its end; a rank that never started has no file, and an empty
  // last piece.
  piece.is_last = is_finished_ && piece.bytes.size() < limits::kLogChunkBytesMax;
  if (piece.bytes.empty() && !piece.is_last) return std::nullopt;
  return piece;
}

void LogTail::passed(const LogPiece& piece) {
  if (!piece.bytes.empty()) in_flight_.push_back({piece.offset + piece.bytes.size(), piece.bytes.size()});
  offset_ = piece.next;
  is_over_ = piece.is_last;
}

void LogTail::taken(std::uint64_t offset) {
  taken_ = std::max(taken_, offset);
  while (!in_flight_.empty() && in_flight_.front().end <= offset) in_flight_.pop_front();
}

std::uint64_t LogTail::bytes_in_flight() const {
  std::uint64_t bytes = 0;
  for (const Flight& flight : in_flight_) bytes += flight.bytes;
  return bytes;
}

void LogTail::go_to(std::uint64_t offset) {
  in_flight_.clear();
  is_over_ = false;
  taken_ = offset;
  const bool note_was_taken = offset > gap_from_ && offset < kept_from_;
  offset_ = note_was_taken ? kept_from_ : std::min(offset, open_file() ? file_bytes() : 0);
  if (offset_ < kept_from_) gap_from_ = offset_;
}

void LogTail::give_up() {
  in_flight_.clear();
  is_over_ = is_finished_;
  offset_ = taken_ = open_file() ? file_bytes() : 0;
}

std::uint64_t LogTail::bound(std::uint64_t bytes_max) {
  if (!open_file()) return 0;
  const std::uint64_t size = file_bytes();
  if (size <= kept_from_ + bytes_max + kBlockBytes) return 0;
  const std::uint64_t kept_from = (size - bytes_max) / kBlockBytes * kBlockBytes;
  if (fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(kept_from)) != 0)
    return 0;  // a file system that cannot: the file stays whole, and nothing is lost
  const std::uint64_t unsent_from = std::max(offset_, kept_from_);
  const std::uint64_t lost = offset_ < kept_from ? kept_from - unsent_from : 0;
  if (offset_ >= kept_from_ && lost > 0) gap_from_ = offset_;
  kept_from_ = kept_from;
  bytes_dropped_ += lost;
  return lost;
}

}  // namespace paddock::worker
