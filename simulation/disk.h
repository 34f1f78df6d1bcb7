// simulation/disk.h – the coordinator's tables on a disk that forgets: what was not synced may be lost in a crash, as a
// tail of whole batches (RocksDB drops a record that is torn), and the disk may be full. Threads: one owner.
#pragma once

#include <deque>
#include <map>
#include <string>

#include "simulation/plan.h"
#include "storage/tables.h"

namespace paddock::simulation {

class Disk final : public storage::Tables {
 public:
  // Nothing is owned.
  explicit Disk(Dice& dice) : dice_(dice) {}

  Result<void> write(const storage::Batch& batch, storage::Sync sync) override;
  Result<std::optional<std::string>> get(storage::Column column, std::string_view key) const override;
  Result<void> scan(storage::Column column, std::string_view prefix, const Visit& visit,
                    std::string_view from) const override;
  Result<std::optional<std::string>> last_key(storage::Column column) const override;

  void fill(bool is_full) { is_full_ = is_full; }
  // A write has failed; nothing more is taken until it is opened again.
  bool is_broken() const { return is_broken_; }
  bool is_full() const { return is_full_; }
  // Something would be lost if it crashed now.
  bool has_unsynced() const { return !unsynced_.empty(); }
  // The process dies in the middle of its next write: the batch is there afterwards or it is not, nobody knows.
  void die_in_next_write() { dies_ = true; }
  // Another number whenever rows of the archive may have changed.
  std::uint64_t changes_of_archive() const { return changes_of_archive_; }
  // The machine fails. True: something that was written is lost.
  bool crash();

 private:
  using Rows = std::map<storage::Column, std::map<std::string, std::string, std::less<>>>;
  static void apply(Rows& rows, const storage::Batch& batch);
  void apply(const storage::Batch& batch);

  Dice& dice_;
  Rows rows_;                            // as programs see it
  Rows synced_;                          // as a crash leaves it at the least
  std::deque<storage::Batch> unsynced_;  // what lies between
  bool is_full_ = false;
  bool dies_ = false;
  std::uint64_t changes_of_archive_ = 0;
  bool is_broken_ = false;  // after a failed write: nothing more until it is opened again
};

}  // namespace paddock::simulation
