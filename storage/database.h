// storage/database.h – the coordinator's RocksDB: a few columns, atomic batches, and no damage passed over in
// silence. RocksDB's types and statuses stay behind this header. Opened with paranoid checks and its logs
// listed and verified in the manifest. A log that ends in a torn record (the process or machine died while
// writing, so nobody was told of it) loses that record only, and torn_tail() says so; any other damage is
// kCorrupt. Errors: kUnavailable the disk refused or another process has the database open; kExhausted it is
// full; kCorrupt. After a failed write the database is read-only: close it and open it again. Threads: all
// members may be called from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/disk.h"

namespace rocksdb {
class Env;
}

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

 private:
  friend class Database;
  struct Change {
    Column column;
    std::string key;
    std::optional<std::string> value;  // empty: erase
    std::string end;                   // not empty: erase from `key` up to here
  };
  std::vector<Change> changes_;
};

class Database {
 public:
  // Opens or creates the database in `dir` (its parents are created). kInvalid: a newer version wrote it.
  // `environment`: the machine as RocksDB sees it, for tests; not owned, outlives this. nullptr: the real one.
  static Result<Database> open(const fs::path& dir, rocksdb::Env* environment = nullptr);
  ~Database();
  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;

  // Durable (synced) on return.
  Result<void> write(const Batch& batch);
  Result<std::optional<std::string>> get(Column column, std::string_view key) const;
  // Calls `visit(key, value)` in key order for all keys that begin with `prefix` and are not below `from`,
  // until it returns false. A consistent snapshot; `visit` may read and write the database.
  using Visit = std::function<bool(std::string_view key, std::string_view value)>;
  Result<void> scan(Column column, std::string_view prefix, const Visit& visit,
                    std::string_view from = {}) const;
  // The last key of the column; empty when it has none.
  Result<std::optional<std::string>> last_key(Column column) const;

  // Why opening had to drop an unfinished record at a log's end; empty when it did not. Log it.
  const std::optional<std::string>& torn_tail() const;

 private:
  struct Open;
  explicit Database(std::unique_ptr<Open> open);
  std::unique_ptr<Open> open_;
};

}  // namespace paddock::storage
