// storage/disk.h – the files and folders we rely on, behind one seam so that tests can lose, tear and flip
// what was written. RealDisk is POSIX; tests/storage/faulty_disk.h is the other. Nothing is durable until it
// is synced: bytes by WritableFile::sync, a name (created, renamed, removed) by sync_dir of its folder. The
// functions below the classes put these pieces together in the right order; use them rather than the pieces.
// Threads: a Disk may be used from any thread; a WritableFile has one owner; ReadableFile::read_at may run in
// many. Errors, everywhere here: kExhausted the disk is full (ENOSPC, EDQUOT), kNotFound, kDenied (also where
// nothing can be written, EROFS), kConflict the name is taken, kUnavailable anything else the system said
// (EIO, ESTALE, EAGAIN: another try may help, see storage/patience.h). Messages name the path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace paddock::storage {

namespace fs = std::filesystem;

inline std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
inline std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A file's contents in memory of our own: read, not mapped, so that a bad sector is an error instead of a
// SIGBUS and what was verified cannot change afterwards.
class Bytes {
 public:
  Bytes() = default;
  // `size` bytes, not initialised.
  explicit Bytes(std::size_t size) : data_(std::make_unique_for_overwrite<std::byte[]>(size)), size_(size) {}

  std::span<std::byte> writable() { return {data_.get(), size_}; }
  std::span<const std::byte> view() const { return {data_.get(), size_}; }
  std::string_view text() const { return text_of(view()); }
  std::size_t size() const { return size_; }

 private:
  std::unique_ptr<std::byte[]> data_;
  std::size_t size_ = 0;
};

// A file being written, from its beginning to its end. Closed, not synced, by the destructor.
class WritableFile {
 public:
  virtual ~WritableFile() = default;
  virtual Result<void> append(std::span<const std::byte> bytes) = 0;
  // Bytes appended so far are durable on return. After an error the file is dead: every later call fails,
  // since the kernel forgets which pages it could not write and a second fsync would lie. Write a new file
  // instead.
  virtual Result<void> sync() = 0;
};

// What a path leads to, links followed.
struct FileFacts {
  enum class Kind { kFile, kFolder, kOther };
  Kind kind = Kind::kOther;
  std::uint64_t bytes = 0;       // of a file
  std::int64_t modified_ns = 0;  // since 1970: when the bytes were last changed
  std::uint64_t device = 0;      // together with `inode`: the same for all names of one file or folder
  std::uint64_t inode = 0;
};

class ReadableFile {
 public:
  virtual ~ReadableFile() = default;
  // Both as they were when the file was opened.
  virtual std::uint64_t size() const = 0;
  virtual std::int64_t modified_ns() const = 0;
  // Fills `into` from `offset`. kCorrupt: the file ends before that.
  virtual Result<void> read_at(std::uint64_t offset, std::span<std::byte> into) const = 0;
};

class Disk {
 public:
  virtual ~Disk() = default;
  // An empty file of that name, whatever was there before.
  virtual Result<std::unique_ptr<WritableFile>> create(const fs::path& path) = 0;
  virtual Result<std::unique_ptr<ReadableFile>> open(const fs::path& path) = 0;
  // Replaces a file `to`; kConflict when `to` is a folder that is not empty.
  virtual Result<void> rename(const fs::path& from, const fs::path& to) = 0;
  // One folder; its parent must exist. No error when it is there already.
  virtual Result<void> make_dir(const fs::path& path) = 0;
  virtual Result<void> sync_dir(const fs::path& path) = 0;
  // A file, or a folder with all that is in it; no error when there is none.
  virtual Result<void> remove_all(const fs::path& path) = 0;
  virtual Result<bool> exists(const fs::path& path) = 0;
  // kNotFound: nothing is there, or a link that leads to nothing.
  virtual Result<FileFacts> look(const fs::path& path) = 0;
  // Names (not paths) in the folder, sorted.
  virtual Result<std::vector<std::string>> list(const fs::path& dir) = 0;
};

class RealDisk final : public Disk {
 public:
  Result<std::unique_ptr<WritableFile>> create(const fs::path& path) override;
  Result<std::unique_ptr<ReadableFile>> open(const fs::path& path) override;
  Result<void> rename(const fs::path& from, const fs::path& to) override;
  Result<void> make_dir(const fs::path& path) override;
  Result<void> sync_dir(const fs::path& path) override;
  Result<void> remove_all(const fs::path& path) override;
  Result<bool> exists(const fs::path& path) override;
  Result<FileFacts> look(const fs::path& path) override;
  Result<std::vector<std::string>> list(const fs::path& dir) override;
};

// The folder and every missing one above it; all their names are durable on return.
Result<void> make_dirs(Disk& disk, const fs::path& path);

// A reader of `path` sees the old file or the whole new one, also after a crash; durable on return. The bytes
// come from `fill`, or are given. On an error the old file is untouched.
Result<void> write_atomically(Disk& disk, const fs::path& path,
                              const std::function<Result<void>(WritableFile&)>& fill);
Result<void> write_atomically(Disk& disk, const fs::path& path, std::span<const std::byte> bytes);
Result<void> write_atomically(Disk& disk, const fs::path& path, std::string_view text);

// A whole file. kExhausted: it is longer than `bytes_max`.
Result<Bytes> read_file(Disk& disk, const fs::path& path, std::uint64_t bytes_max = UINT64_MAX);

}  // namespace paddock::storage
