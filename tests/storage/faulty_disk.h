// tests/storage/faulty_disk.h – a Disk in memory that does what real ones do on a bad day.
// It keeps two truths: what a running process sees, and what was synced. crash_at(n) lets the n-th changing
// operation from now (0: the next) happen by half at most and all later ones fail; restart(seed) then draws
// what survived: synced bytes and names always; of unsynced bytes any prefix, perhaps with a torn (garbled)
// end; of unsynced names any subset. fail_at(n, code) makes one operation fail without a crash. flip_bit
// damages what is stored, without a trace in the file's time. Time is the number of changes. Threads: one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "storage/disk.h"

namespace paddock::storage {

class FaultyDisk final : public Disk {
 public:
  FaultyDisk();
  ~FaultyDisk() override;

  void crash_at(std::uint64_t operation) { crash_at_ = operations_ + operation; }
  void fail_at(std::uint64_t operation, Code code) { fail_at_ = operations_ + operation, fail_code_ = code; }
  bool has_crashed() const { return has_crashed_; }
  // Whether fail_at's operation came.
  bool has_failed() const { return fail_at_ && operations_ > *fail_at_; }
  void restart(std::uint64_t seed);
  std::uint64_t operations() const { return operations_; }

  // The next `count` openings and readings of files fail.
  void fail_reads(int count, Code code) { reads_to_fail_ = count, read_fail_code_ = code; }
  // Nothing can be created, renamed or removed in this very folder any more.
  void make_read_only(const fs::path& dir);

  // Bit 0 is the lowest of the first byte. The file must exist and be long enough.
  void flip_bit(const fs::path& path, std::uint64_t bit);
  // Cuts the file to its first `bytes` bytes, now.
  void truncate(const fs::path& path, std::uint64_t bytes);

  Result<std::unique_ptr<WritableFile>> create(const fs::path& path) override;
  Result<std::unique_ptr<ReadableFile>> open(const fs::path& path) override;
  Result<void> rename(const fs::path& from, const fs::path& to) override;
  Result<void> make_dir(const fs::path& path) override;
  Result<void> sync_dir(const fs::path& path) override;
  Result<void> remove_all(const fs::path& path) override;
  Result<bool> exists(const fs::path& path) override;
  Result<FileFacts> look(const fs::path& path) override;
  Result<std::vector<std::string>> list(const fs::path& dir) override;

 private:
  struct Node;
  class Writing;
  class Reading;
  using NodePtr = std::shared_ptr<Node>;

  // What the next changing operation must do: go on, or fail with this.
  Result<void> next_operation(const fs::path& path);
  Result<void> next_read(const fs::path& path);
  NodePtr find(const fs::path& path) const;
  NodePtr find_parent(const fs::path& path) const;
  Result<void> remove_tree(const NodePtr& parent, const std::string& name, const fs::path& path);
  static void settle(Node& node, Draws& draws);

  NodePtr root_;
  std::uint64_t operations_ = 0;
  std::optional<std::uint64_t> crash_at_;
  std::optional<std::uint64_t> fail_at_;
  Code fail_code_ = Code::kUnavailable;
  int reads_to_fail_ = 0;
  Code read_fail_code_ = Code::kUnavailable;
  bool has_crashed_ = false;
};

}  // namespace paddock::storage
