#include "storage/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <random>
#include <system_error>
#include <utility>

namespace paddock::storage {

namespace {

constexpr std::size_t kTransferBytesMax = 1u << 30;  // Linux moves at most 2 GiB a call

tl::unexpected<Error> system_error(std::string_view doing, const fs::path& path, int error) {
  Code code = Code::kUnavailable;
  if (error == ENOSPC || error == EDQUOT) code = Code::kExhausted;
  if (error == ENOENT || error == ENOTDIR || error == ELOOP) code = Code::kNotFound;
  if (error == EACCES || error == EPERM || error == EROFS) code = Code::kDenied;
  if (error == EEXIST || error == ENOTEMPTY || error == EISDIR) code = Code::kConflict;
  return fail(code, "cannot " + std::string(doing) + " " + path.string() + ": " +
                        std::generic_category().message(error));
}

class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return descriptor_; }

 private:
  const int descriptor_;
};

int open_retrying(const fs::path& path, int flags) {
  int descriptor = -1;
  do {
    descriptor = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  } while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

// As a file system in user space may have it.
int sync_retrying(int descriptor) {
  int synced = 0;
  do {
    synced = ::fsync(descriptor);
  } while (synced != 0 && errno == EINTR);
  return synced;
}

class RealWritableFile final : public WritableFile {
 public:
  RealWritableFile(fs::path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  Result<void> append(std::span<const std::byte> bytes) override {
    if (is_dead_) return dead();
    while (!bytes.empty()) {
      const ssize_t written =
          ::write(descriptor_.get(), bytes.data(), std::min(bytes.size(), kTransferBytesMax));
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) {
        is_dead_ = true;
        return system_error("write", path_, written < 0 ? errno : EIO);
      }
      bytes = bytes.subspan(static_cast<std::size_t>(written));
    }
    return {};
  }

  Result<void> sync() override {
    if (is_dead_) return dead();
    if (sync_retrying(descriptor_.get()) == 0) return {};
    is_dead_ = true;
    return system_error("sync", path_, errno);
  }

 private:
  tl::unexpected<Error> dead() const {
    return fail(Code::kUnavailable,
                "cannot go on with " + path_.string() + ": an earlier write or sync failed");
  }

  const fs::path path_;
  const Descriptor descriptor_;
  bool is_dead_ = false;
};

std::int64_t modified_ns_of(const struct stat& about) {
  return std::int64_t{about.st_mtim.tv_sec} * 1'000'000'000 + about.st_mtim.tv_nsec;
}

class RealReadableFile final : public ReadableFile {
 public:
  RealReadableFile(fs::path path, int descriptor, const struct stat& about)
      : path_(std::move(path)),
        descriptor_(descriptor),
        size_(static_cast<std::uint64_t>(about.st_size)),
        modified_ns_(modified_ns_of(about)) {}

  std::uint64_t size() const override { return size_; }
  std::int64_t modified_ns() const override { return modified_ns_; }

  Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) const override {
    while (!into.empty()) {
      const ssize_t got = ::pread(descriptor_.get(), into.data(), std::min(into.size(), kTransferBytesMax),
                                  static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return system_error("read", path_, errno);
      if (got == 0)
        return fail(Code::kCorrupt, path_.string() + " ends at byte " + std::to_string(offset) + ", " +
                                        std::to_string(into.size()) + " bytes too early");
      into = into.subspan(static_cast<std::size_t>(got));
      offset += static_cast<std::uint64_t>(got);
    }
    return {};
  }

 private:
  const fs::path path_;
  const Descriptor descriptor_;
  const std::uint64_t size_;
  const std::int64_t modified_ns_;
};

// Beside `path`, so that the rename stays within one file system; unique, so that two writers never share it.
fs::path temporary_beside(const fs::path& path) {
  static std::atomic<std::uint64_t> count{0};
  static const std::uint64_t process = (std::uint64_t{std::random_device{}()} << 32) | std::random_device{}();
  return path.parent_path() /
         ("." + path.filename().string() + ".tmp-" + std::to_string(process) + "-" + std::to_string(++count));
}

}  // namespace

Result<std::unique_ptr<WritableFile>> RealDisk::create(const fs::path& path) {
  const int descriptor = open_retrying(path, O_WRONLY | O_CREAT | O_TRUNC);
  if (descriptor < 0) return system_error("create", path, errno);
  return std::make_unique<RealWritableFile>(path, descriptor);
}

Result<std::unique_ptr<ReadableFile>> RealDisk::open(const fs::path& path) {
  const int descriptor = open_retrying(path, O_RDONLY);
  if (descriptor < 0) return system_error("open", path, errno);
  struct stat about {};
  const int failed = ::fstat(descriptor, &about) != 0 ? errno : S_ISREG(about.st_mode) ? 0 : EISDIR;
  if (failed != 0) {
    ::close(descriptor);
    return system_error("open", path, failed);
  }
  return std::make_unique<RealReadableFile>(path, descriptor, about);
}

Result<void> RealDisk::rename(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return {};
  return system_error("rename " + from.string() + " to", to, errno);
}

Result<void> RealDisk::make_dir(const fs::path& path) {
  if (::mkdir(path.c_str(), 0755) == 0) return {};
  const int error = errno;
  struct stat about {};
  if (error == EEXIST && ::stat(path.c_str(), &about) == 0 && S_ISDIR(about.st_mode)) return {};
  return system_error("make the folder", path, error);
}

Result<void> RealDisk::sync_dir(const fs::path& path) {
  const Descriptor descriptor(open_retrying(path, O_RDONLY | O_DIRECTORY));
  if (descriptor.get() < 0) return system_error("open the folder", path, errno);
  if (sync_retrying(descriptor.get()) != 0) return system_error("sync the folder", path, errno);
  return {};
}

Result<void> RealDisk::remove_all(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) return system_error("remove", path, error.value());
  return {};
}

Result<bool> RealDisk::exists(const fs::path& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return system_error("look at", path, errno);
}

Result<FileFacts> RealDisk::look(const fs::path& path) {
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) return system_error("look at", path, errno);
  using Kind = FileFacts::Kind;
  return FileFacts{.kind = S_ISREG(about.st_mode)   ? Kind::kFile
                           : S_ISDIR(about.st_mode) ? Kind::kFolder
                                                    : Kind::kOther,
                   .bytes = static_cast<std::uint64_t>(about.st_size),
                   .modified_ns = modified_ns_of(about),
                   .device = about.st_dev,
                   .inode = about.st_ino};
}

Result<std::vector<std::string>> RealDisk::list(const fs::path& dir) {
  std::error_code error;
  std::vector<std::string> names;
  for (fs::directory_iterator entry(dir, error), end; !error && entry != end; entry.increment(error))
    names.push_back(entry->path().filename().string());
  if (error) return system_error("list", dir, error.value());
  std::sort(names.begin(), names.end());
  return names;
}

Result<void> make_dirs(Disk& disk, const fs::path& path) {
  const fs::path plain = path.lexically_normal();
  const fs::path dir = plain.has_filename() ? plain : plain.parent_path();  // "a/b/" names the folder "a/b"
  if (dir.empty()) return {};
  TRY_ASSIGN(const bool is_there, disk.exists(dir), "making folders");
  if (is_there) return disk.make_dir(dir);  // says so if it is a file
  const fs::path parent = dir.parent_path();
  TRY(make_dirs(disk, parent), "making folders");
  TRY(disk.make_dir(dir), "making folders");
  return disk.sync_dir(parent.empty() ? fs::path(".") : parent);
}

Result<void> write_atomically(Disk& disk, const fs::path& path,
                              const std::function<Result<void>(WritableFile&)>& fill) {
  const fs::path temporary = temporary_beside(path);
  const auto write = [&]() -> Result<void> {
    TRY_ASSIGN(const auto file, disk.create(temporary), "writing " + path.string());
    TRY(fill(*file), "writing " + path.string());
    TRY(file->sync(), "writing " + path.string());
    return disk.rename(temporary, path);
  };
  if (auto written = write(); !written) {
    // The error that counts is the first one; a temporary file that stays is never read.
    static_cast<void>(disk.remove_all(temporary));
    return written;
  }
  return disk.sync_dir(path.has_parent_path() ? path.parent_path() : fs::path("."));
}

Result<void> write_atomically(Disk& disk, const fs::path& path, std::span<const std::byte> bytes) {
  return write_atomically(disk, path, [&](WritableFile& file) { return file.append(bytes); });
}

Result<void> write_atomically(Disk& disk, const fs::path& path, std::string_view text) {
  return write_atomically(disk, path, bytes_of(text));
}

Result<Bytes> read_file(Disk& disk, const fs::path& path, std::uint64_t bytes_max) {
  TRY_ASSIGN(const auto file, disk.open(path), "reading a file");
  if (file->size() > bytes_max)
    return fail(Code::kExhausted, path.string() + " has " + std::to_string(file->size()) +
                                      " bytes, more than the " + std::to_string(bytes_max) + " allowed");
  Bytes bytes(file->size());
  TRY(file->read_at(0, bytes.writable()), "reading a file");
  return bytes;
}

}  // namespace paddock::storage
