#include "tests/storage/faulty_environment.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <map>
#include <mutex>
#include <string>
#include <utility>

namespace paddock::storage {

using rocksdb::FileOptions;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

struct FaultyEnvironment::State {
  struct Sizes {
    std::uint64_t written = 0;
    std::uint64_t synced = 0;
  };

  std::mutex mutex;
  std::uint64_t operations = 0;
  std::uint64_t fail_at = std::numeric_limits<std::uint64_t>::max();
  std::map<std::string, Sizes> files;

  // Counts an operation; not ok: the power is gone.
  IOStatus begin() {
    const std::lock_guard lock(mutex);
    return ++operations >= fail_at ? IOStatus::IOError("the power is gone") : IOStatus::OK();
  }
  template <typename Change>
  void change(const std::string& file, Change apply) {
    const std::lock_guard lock(mutex);
    apply(files[file]);
  }
};

template <typename Shared>
class CountedFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  CountedFile(std::unique_ptr<FSWritableFile>&& file, std::string name, std::shared_ptr<Shared> state)
      : FSWritableFileOwnerWrapper(std::move(file)), name_(std::move(name)), state_(std::move(state)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* context) override {
    if (IOStatus status = state_->begin(); !status.ok()) return status;
    IOStatus status = target()->Append(data, options, context);
    if (status.ok()) state_->change(name_, [&](auto& sizes) { sizes.written += data.size(); });
    return status;
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* context) override {
    return Append(data, options, context);
  }
  IOStatus Truncate(std::uint64_t size, const IOOptions& options, IODebugContext* context) override {
    if (IOStatus status = state_->begin(); !status.ok()) return status;
    state_->change(name_, [&](auto& sizes) { sizes.written = size; });
    return target()->Truncate(size, options, context);
  }
  IOStatus Sync(const IOOptions&, IODebugContext*) override { return sync(); }
  IOStatus Fsync(const IOOptions&, IODebugContext*) override { return sync(); }
  IOStatus RangeSync(std::uint64_t, std::uint64_t, const IOOptions&, IODebugContext*) override {
    return IOStatus::OK();  // promises nothing
  }

 private:
  IOStatus sync() {
    if (IOStatus status = state_->begin(); !status.ok()) return status;
    state_->change(name_, [](auto& sizes) { sizes.synced = sizes.written; });
    return IOStatus::OK();
  }

  const std::string name_;
  const std::shared_ptr<Shared> state_;
};

template <typename Shared>
class FaultyFileSystem : public rocksdb::FileSystemWrapper {
 public:
  explicit FaultyFileSystem(std::shared_ptr<Shared> state)
      : FileSystemWrapper(rocksdb::FileSystem::Default()), state_(std::move(state)) {}

  const char* Name() const override { return "FaultyFileSystem"; }

  IOStatus NewWritableFile(const std::string& name, const FileOptions& options,
                           std::unique_ptr<FSWritableFile>* file, IODebugContext* context) override {
    if (IOStatus status = state_->begin(); !status.ok()) return status;
    std::unique_ptr<FSWritableFile> real;
    IOStatus status = target()->NewWritableFile(name, options, &real, context);
    if (!status.ok()) return status;
    state_->change(name, [](auto& sizes) { sizes = {}; });
    *file = std::make_unique<CountedFile<Shared>>(std::move(real), name, state_);
    return status;
  }
  IOStatus ReopenWritableFile(const std::string&, const FileOptions&, std::unique_ptr<FSWritableFile>*,
                              IODebugContext*) override {
    return IOStatus::NotSupported("not used by the database");
  }
  IOStatus ReuseWritableFile(const std::string&, const std::string&, const FileOptions&,
                             std::unique_ptr<FSWritableFile>*, IODebugContext*) override {
    return IOStatus::NotSupported("not used by the database");
  }
  IOStatus DeleteFile(const std::string& name, const IOOptions& options, IODebugContext* context) override {
    if (IOStatus status = state_->begin(); !status.ok()) return status;
    {
      const std::lock_guard lock(state_->mutex);
      state_->files.erase(name);
    }
    return target()->DeleteFile(name, options, context);
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                      IODebugContext* context) override {
    if (IOStatus status = state_->begin(); !status.ok()) return status;
    {
      const std::lock_guard lock(state_->mutex);
      if (const auto moved = state_->files.extract(from); !moved.empty()) {
        state_->files[to] = moved.mapped();
      }
    }
    return target()->RenameFile(from, to, options, context);
  }

 private:
  const std::shared_ptr<Shared> state_;
};

FaultyEnvironment::FaultyEnvironment()
    : state_(std::make_shared<State>()),
      environment_(rocksdb::NewCompositeEnv(std::make_shared<FaultyFileSystem<State>>(state_))) {}
FaultyEnvironment::~FaultyEnvironment() = default;

rocksdb::Env* FaultyEnvironment::environment() const {
  return environment_.get();
}
std::uint64_t FaultyEnvironment::operations() const {
  const std::lock_guard lock(state_->mutex);
  return state_->operations;
}
void FaultyEnvironment::fail_at(std::uint64_t operation) {
  const std::lock_guard lock(state_->mutex);
  state_->fail_at = operation;
}
bool FaultyEnvironment::has_failed() const {
  const std::lock_guard lock(state_->mutex);
  return state_->operations >= state_->fail_at;
}

void FaultyEnvironment::lose_unsynced(std::uint64_t seed) {
  const std::lock_guard lock(state_->mutex);
  for (auto& [name, sizes] : state_->files) {
    seed = seed * 6'364'136'223'846'793'005u + 1'442'695'040'888'963'407u;
    const std::uint64_t unsynced = sizes.written - std::min(sizes.synced, sizes.written);
    const std::uint64_t kept = (seed >> 33) % 4 == 0 ? (seed >> 35) % (unsynced + 1) : 0;
    if (truncate(name.c_str(), static_cast<off_t>(sizes.synced + kept)) != 0) continue;  // deleted since
    sizes.written = sizes.synced = sizes.synced + kept;
  }
  state_->fail_at = std::numeric_limits<std::uint64_t>::max();
}

}  // namespace paddock::storage
