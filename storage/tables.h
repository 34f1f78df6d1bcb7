// storage/tables.h – what the coordinator keeps on disk, as rows in a few columns, changed by atomic batches: the seam
// between the coordinator and RocksDB (storage/database.h), so that a simulation can put a disk of its own there, which
// loses what was not synced. Threads and errors: as the implementation says.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace paddock::storage {

enum class Column {
  kJournal,      // coordinator/journal.h
  kCheckpoints,  // storage/checkpoint_index.h
  kCache,        // not used: there from the first version on
  kSnapshot,     // coordinator/snapshot.h
  kArchive,      // coordinator/archive.h
};

// Keys that sort as the numbers do: eight bytes, big-endian.
std::string key_of(std::uint64_t number);
// Empty when `key` is not eight bytes long.
std::optional<std::uint64_t> number_of(std::string_view key);

// Changes that happen together or not at all, in the order given.
class Batch {
 public:
  void put(Column column, std::string key, std::string value);
  void erase(Column column, std::string key);
  // All keys from `begin` up to, not including, `end`.
  void erase_range(Column column, std::string begin, std::string end);
  // The changes of `other`, after these.
  void append(const Batch& other);
  bool empty() const { return changes_.empty(); }
  std::size_t size() const { return changes_.size(); }

  struct Change {
    Column column;
    std::string key;
    std::optional<std::string> value;  // empty: erase
    std::string end;                   // not empty: erase from `key` up to here
  };
  const std::vector<Change>& changes() const { return changes_; }

 private:
  std::vector<Change> changes_;
};

// kLater: durable with the next batch that is written with kNow; a crash before that may take it.
enum class Sync { kNow, kLater };

class Tables {
 public:
  virtual ~Tables() = default;

  // With Sync::kNow durable on return. After an error nothing may be said about what was to be written: open it again.
  virtual Result<void> write(const Batch& batch, Sync sync) = 0;
  Result<void> write(const Batch& batch) { return write(batch, Sync::kNow); }
  virtual Result<std::optional<std::string>> get(Column column, std::string_view key) const = 0;
  // Calls `visit(key, value)` in key order for all keys that begin with `prefix` and are not below `from`,
  // until it returns false. A consistent snapshot; `visit` may read and write the tables.
  using Visit = std::function<bool(std::string_view key, std::string_view value)>;
  virtual Result<void> scan(Column column, std::string_view prefix, const Visit& visit,
                            std::string_view from) const = 0;
  Result<void> scan(Column column, std::string_view prefix, const Visit& visit) const {
    return scan(column, prefix, visit, {});
  }
  // The last key of the column; empty when it has none.
  virtual Result<std::optional<std::string>> last_key(Column column) const = 0;
};

}  // namespace paddock::storage
