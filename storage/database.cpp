#include "storage/database.h"

#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"

namespace paddock::storage {

namespace {

constexpr std::array<const char*, 5> kColumnNames = {"journal", "checkpoints", "cache", "snapshot",
                                                     "archive"};  // in the order of Column
constexpr std::size_t kWriteBufferBytes = 16u << 20;
constexpr std::uint64_t kLogBytesMax = 64u << 20;  // replayed by an opening: a second or less

rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}
std::string_view view(const rocksdb::Slice& text) {
  return {text.data(), text.size()};
}

// Where RocksDB's statuses become ours.
tl::unexpected<Error> translate(const rocksdb::Status& status, std::string_view doing) {
  Code code = Code::kUnavailable;
  if (status.IsCorruption()) code = Code::kCorrupt;
  if (status.IsNoSpace()) code = Code::kExhausted;
  if (status.IsInvalidArgument() || status.IsNotSupported()) code = Code::kInvalid;
  return fail(code, "the database failed " + std::string(doing) + ": " + status.ToString());
}

rocksdb::DBOptions database_options(rocksdb::WALRecoveryMode recovery, rocksdb::Env* environment) {
  rocksdb::DBOptions options;
  if (environment != nullptr) options.env = environment;
  options.max_total_wal_size = kLogBytesMax;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.paranoid_checks = true;
  options.track_and_verify_wals_in_manifest = true;
  options.wal_recovery_mode = recovery;
  options.max_background_jobs = 2;
  options.keep_log_file_num = 5;
  options.max_open_files = 256;
  return options;
}

std::vector<rocksdb::ColumnFamilyDescriptor> columns() {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = kWriteBufferBytes;
  std::vector<rocksdb::ColumnFamilyDescriptor> all{{rocksdb::kDefaultColumnFamilyName, options}};
  for (const char* name : kColumnNames) all.emplace_back(name, options);
  return all;
}

// kInvalid: it has columns that this version does not know.
Result<void> check_columns(const std::string& dir, rocksdb::Env* environment) {
  std::vector<std::string> names;
  const auto options = database_options(rocksdb::WALRecoveryMode::kAbsoluteConsistency, environment);
  // What cannot be listed is not there yet, or is for opening to complain about.
  if (!rocksdb::DB::ListColumnFamilies(options, dir, &names).ok()) return {};
  for (const std::string& name : names) {
    const bool is_known = name == rocksdb::kDefaultColumnFamilyName ||
                          std::ranges::any_of(kColumnNames, [&](const char* known) { return name == known; });
    if (!is_known) {
      return fail(Code::kInvalid,
                  "the database in " + dir + " has a column '" + name +
                      "' that this version does not know; start the version that wrote it, or "
                      "a newer one");
    }
  }
  return {};
}

}  // namespace

struct Database::Open {
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*>
      handles;  // owned by us, destroyed before db; [0] is RocksDB's "default"
  std::optional<std::string> torn_tail;

  ~Open() {
    for (rocksdb::ColumnFamilyHandle* handle : handles) db->DestroyColumnFamilyHandle(handle);
  }
  rocksdb::ColumnFamilyHandle* handle(Column column) const {
    return handles[1 + static_cast<std::size_t>(column)];
  }
};

Database::Database(std::unique_ptr<Open> open) : open_(std::move(open)) {}
Database::~Database() = default;
Database::Database(Database&&) noexcept = default;
Database& Database::operator=(Database&&) noexcept = default;

Result<Database> Database::open(const fs::path& dir, rocksdb::Env* environment) {
  RealDisk disk;
  TRY(make_dirs(disk, dir), "opening the database");
  TRY(check_columns(dir.string(), environment), "opening the database");
  auto open = std::make_unique<Open>();
  rocksdb::DB* db = nullptr;
  // Absolute consistency refuses any damage, even the half record that a death in mid-write leaves at a log's
  // end. That one is nobody's loss, so the second try drops it (and still refuses everything else), and we
  // say that it did.
  auto status =
      rocksdb::DB::Open(database_options(rocksdb::WALRecoveryMode::kAbsoluteConsistency, environment),
                        dir.string(), columns(), &open->handles, &db);
  if (status.IsCorruption()) {
    open->torn_tail = status.ToString();
    status = rocksdb::DB::Open(
        database_options(rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords, environment), dir.string(),
        columns(), &open->handles, &db);
  }
  if (!status.ok()) return translate(status, "to open in " + dir.string());
  open->db.reset(db);
  return Database(std::move(open));
}

Result<void> Database::write(const Batch& batch, Sync sync) {
  rocksdb::WriteBatch changes;
  for (const Batch::Change& change : batch.changes()) {
    rocksdb::ColumnFamilyHandle* const column = open_->handle(change.column);
    const auto status = change.value         ? changes.Put(column, change.key, *change.value)
                        : change.end.empty() ? changes.Delete(column, change.key)
                                             : changes.DeleteRange(column, change.key, change.end);
    PADDOCK_CHECK(status.ok(), status.ToString());  // in memory, without bounds set: nothing can refuse
  }
  rocksdb::WriteOptions options;
  options.sync = sync == Sync::kNow;
  const auto status = open_->db->Write(options, &changes);
  if (!status.ok()) return translate(status, "to write");
  return {};
}

Result<std::optional<std::string>> Database::get(Column column, std::string_view key) const {
  std::string value;
  const auto status = open_->db->Get(rocksdb::ReadOptions(), open_->handle(column), slice(key), &value);
  if (status.IsNotFound()) return std::optional<std::string>();
  if (!status.ok()) return translate(status, "to read");
  return std::optional<std::string>(std::move(value));
}

Result<void> Database::scan(Column column, std::string_view prefix, const Visit& visit,
                            std::string_view from) const {
  rocksdb::ReadOptions options;
  options.total_order_seek = true;
  const std::unique_ptr<rocksdb::Iterator> at(open_->db->NewIterator(options, open_->handle(column)));
  for (at->Seek(slice(std::max(prefix, from))); at->Valid() && view(at->key()).starts_with(prefix);
       at->Next())
    if (!visit(view(at->key()), view(at->value()))) break;
  if (!at->status().ok()) return translate(at->status(), "to read on");
  return {};
}

Result<std::optional<std::string>> Database::last_key(Column column) const {
  const std::unique_ptr<rocksdb::Iterator> at(
      open_->db->NewIterator(rocksdb::ReadOptions(), open_->handle(column)));
  at->SeekToLast();
  if (!at->status().ok()) return translate(at->status(), "to find the last key");
  if (!at->Valid()) return std::optional<std::string>();
  return std::optional<std::string>(view(at->key()));
}

const std::optional<std::string>& Database::torn_tail() const {
  return open_->torn_tail;
}

}  // namespace paddock::storage
