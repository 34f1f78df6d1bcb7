// storage/database.h – the coordinator's RocksDB: a few columns, atomic batches, and no damage passed over in
// silence. RocksDB's types and statuses stay behind this header. Opened with paranoid checks and its logs
// listed and verified in the manifest. A log that ends in a torn record (the process or machine died while
// writing, so nobody was told of it) loses that record only, and torn_tail() says so; any other damage is
// kCorrupt. Errors: kUnavailable the disk refused or another process has the database open; kExhausted it is
// full; kCorrupt. After a failed write the database is read-only: close it and open it again. Threads: all
// members may be called from any thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "storage/disk.h"
#include "storage/tables.h"

namespace rocksdb {
class Env;
}

namespace paddock::storage {

class Database final : public Tables {
 public:
  // Opens or creates the database in `dir` (its parents are created). kInvalid: a newer version wrote it.
  // `environment`: the machine as RocksDB sees it, for tests; not owned, outlives this. nullptr: the real one.
  static Result<Database> open(const fs::path& dir, rocksdb::Env* environment = nullptr);
  ~Database() override;
  Database(Database&&) noexcept;
  Database& operator=(Database&&) noexcept;

  using Tables::scan;
  using Tables::write;
  Result<void> write(const Batch& batch, Sync sync) override;
  Result<std::optional<std::string>> get(Column column, std::string_view key) const override;
  Result<void> scan(Column column, std::string_view prefix, const Visit& visit,
                    std::string_view from) const override;
  Result<std::optional<std::string>> last_key(Column column) const override;

  // Why opening had to drop an unfinished record at a log's end; empty when it did not. Log it.
  const std::optional<std::string>& torn_tail() const;

 private:
  struct Open;
  explicit Database(std::unique_ptr<Open> open);
  std::unique_ptr<Open> open_;
};

}  // namespace paddock::storage
