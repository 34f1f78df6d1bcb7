#include "coordinator/log_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/limits.h"

namespace paddock::coordinator {
namespace {

// Closes what it holds.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

tl::unexpected<Error> refused(const std::filesystem::path& path, int error) {
  return fail(Code::kUnavailable, path.string() + ": " + std::generic_category().message(error));
}

// 0, or the number of what went wrong.
int write_at(int file, std::uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return count < 0 ? errno : EIO;
    bytes = bytes.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return 0;
}

// The folder with all that is in it, file by file, at most `left` of them. False: there is more.
bool remove_within(const std::filesystem::path& folder, std::size_t& left, std::error_code& error) {
  std::filesystem::directory_iterator entry(folder, error);
  if (error == std::errc::no_such_file_or_directory) {
    error.clear();
    return true;
  }
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    if (left == 0) return false;
    const std::filesystem::path path = entry->path();
    if (entry->is_directory(error) && !entry->is_symlink(error)) {
      if (!remove_within(path, left, error)) return false;
    } else if (!error && std::filesystem::remove(path, error)) {
      --left;
    }
  }
  if (!error) std::filesystem::remove(folder, error);
  return true;
}

}  // namespace

std::filesystem::path LogStore::path_of(const LogKey& key) const {
  return folder_ / std::to_string(key.job.graph.value) / key.job.job.value / std::to_string(key.attempt) /
         (std::to_string(key.rank) + ".log");
}

Result<void> LogStore::write(const LogKey& key, std::uint64_t offset, std::span<const std::byte> bytes) {
  if (auto room = room_.check(); !room) return room;
  if (bytes.empty()) return {};
  const auto path = path_of(key);
  std::error_code error;
  std::filesystem::create_directories(path.parent_path(), error);
  if (error) return refused(path, error.value());
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  if (file.get() < 0) return refused(path, errno);
  const std::uint64_t room = bytes_max_ - std::min(offset, bytes_max_);
  if (int error_number = write_at(file.get(), offset, bytes.first(std::min<std::size_t>(bytes.size(), room))))
    return refused(path, error_number);
  struct stat status {};
  const bool is_noted =
      ::fstat(file.get(), &status) == 0 && static_cast<std::uint64_t>(status.st_size) > bytes_max_;
  if (bytes.size() <= room || is_noted) return {};
  const std::string note = end_note();
  if (int error_number = write_at(file.get(), bytes_max_, std::as_bytes(std::span(note))))
    return refused(path, error_number);
  return {};
}

std::string LogStore::end_note() const {
  return "\n[paddock: what follows is not kept: the coordinator keeps " + std::to_string(bytes_max_) +
         " bytes of a rank's output (--log-bytes-max)]\n";
}

Result<bool> LogStore::remove_some(GraphId graph, std::size_t files_max) {
  const auto folder = folder_ / std::to_string(graph.value);
  std::error_code error;
  std::size_t left = files_max;
  const bool is_done = remove_within(folder, left, error);
  if (error) return refused(folder, error.value());
  return is_done;
}

std::uint64_t LogStore::size(const LogKey& key) const {
  struct stat status {};
  if (::stat(path_of(key).c_str(), &status) != 0) return 0;
  return std::min(static_cast<std::uint64_t>(status.st_size), bytes_max_);  // the note at the end is ours
}

Result<LogStore::Piece> LogStore::read(const LogKey& key, std::uint64_t offset) const {
  const auto path = path_of(key);
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) {
    if (errno == ENOENT) return Piece{};
    return refused(path, errno);
  }
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) return refused(path, errno);
  Piece piece;
  piece.file_bytes = static_cast<std::uint64_t>(status.st_size);
  piece.next = std::max(offset, piece.file_bytes);
  if (offset >= piece.file_bytes) return piece;
  const off_t data =
      ::lseek(file.get(), static_cast<off_t>(offset), SEEK_DATA);  // beyond a hole, if it is in one
  if (data < 0) return piece;                                      // nothing but a hole up to the end
  offset = static_cast<std::uint64_t>(data);
  piece.bytes.resize(std::min<std::uint64_t>(piece.file_bytes - offset, limits::kLogChunkBytesMax));
  std::size_t done = 0;
  while (done < piece.bytes.size()) {
    const ssize_t count = ::pread(file.get(), piece.bytes.data() + done, piece.bytes.size() - done,
                                  static_cast<off_t>(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return refused(path, errno);
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  piece.bytes.resize(done);
  piece.next = offset + done;
  std::erase(piece.bytes, '\0');  // the edges of a hole: file systems keep whole blocks
  return piece;
}

}  // namespace paddock::coordinator
