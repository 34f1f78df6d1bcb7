#include "coordinator/snapshot.h"

#include <string>
#include <utility>

#include "coordinator/chunks.h"
#include "coordinator/cluster_record.h"
#include "coordinator/record.h"
#include "storage/hash.h"

namespace paddock::coordinator {

using storage::Batch;
using storage::Column;

namespace {

constexpr const char* kNewest = "newest";  // the row that names it; numbers sort before
// 2: with schedules and reservations, which a program that passes over them would forget.
constexpr std::uint32_t kVersion = 2;

// What the row says. `version` stays the first field for ever.
struct Named {
  std::uint32_t version = 0;
  std::uint64_t sequence = 0;
  std::string hash;  // of all its bytes
};

}  // namespace

template <typename Archive>
void fields(Archive& archive, Recorded<Archive, Named>& value) {
  auto& [version, sequence, hash] = value;
  archive(version, sequence, hash);
}

namespace {

Result<Named> newest_of(const storage::Tables& database) {
  TRY_ASSIGN(const auto row, database.get(Column::kSnapshot, kNewest), "looking for a snapshot");
  Named named;
  if (!row) return named;
  RecordReader reader(*row);
  reader(named);
  if (named.version > kVersion) {
    return fail(Code::kCorrupt, "the snapshot's format is " + std::to_string(named.version) +
                                    ", this version reads up to " + std::to_string(kVersion) +
                                    "; start the version that wrote it, or a newer one");
  }
  if (!reader.is_good() || named.version == 0) return fail(Code::kCorrupt, "the snapshot's row is damaged");
  return named;
}

// All rows of snapshots whose number lies from `begin` up to, not including, `end`.
void erase_between(Batch& batch, std::uint64_t begin, std::uint64_t end) {
  if (begin < end) batch.erase_range(Column::kSnapshot, storage::key_of(begin), storage::key_of(end));
}

}  // namespace

Result<std::uint64_t> snapshot_sequence(const storage::Tables& database) {
  TRY_ASSIGN(const Named named, newest_of(database), "opening the snapshot");
  return named.sequence;
}

Result<scheduler::Cluster> read_snapshot(const storage::Tables& database) {
  TRY_ASSIGN(const Named named, newest_of(database), "opening the snapshot");
  if (named.version == 0) return scheduler::Cluster();
  TRY_ASSIGN(const std::string bytes,
             read_chunks(database, Column::kSnapshot, storage::key_of(named.sequence)), "the snapshot");
  if (storage::xxh3_hex(bytes) != named.hash) {
    return fail(Code::kCorrupt, "the snapshot after journal record " + std::to_string(named.sequence) +
                                    " is damaged; restore the state folder from a copy");
  }
  return to_cluster(bytes);
}

Result<void> write_snapshot(storage::Tables& database, const scheduler::Cluster& cluster,
                            std::uint64_t sequence, const std::string& journal_format) {
  TRY_ASSIGN(const Named before, newest_of(database), "looking for the snapshot before");
  if (before.version != 0 && before.sequence >= sequence) return {};
  Batch leftovers;  // of one that was not finished
  erase_between(leftovers, 0, before.sequence);
  erase_between(leftovers, before.sequence + (before.version == 0 ? 0 : 1), sequence + 1);
  TRY(database.write(leftovers), "clearing up before a snapshot");
  const std::string bytes = to_bytes(cluster);
  for (const Batch& batch : chunks_of(Column::kSnapshot, storage::key_of(sequence), bytes)) {
    TRY(database.write(batch), "writing a snapshot");
  }
  const Named named{kVersion, sequence, storage::xxh3_hex(bytes)};
  std::string row;
  RecordWriter writer(row);
  writer(named);
  Batch batch;
  batch.put(Column::kSnapshot, kNewest, std::move(row));
  batch.put(Column::kJournal, storage::key_of(0), journal_format);
  batch.erase_range(Column::kJournal, storage::key_of(1), storage::key_of(sequence + 1));
  if (before.version != 0) erase_between(batch, before.sequence, before.sequence + 1);
  TRY(database.write(batch), "naming a snapshot");
  return {};
}

}  // namespace paddock::coordinator
