// coordinator/journal.h – all events since the newest snapshot, in order: together the truth that the cluster
// is replayed from. Column "journal" of the database: key = sequence number from 1, value = event_json.h.
// Number 0 names the format. Threads: the coordinator's own. Format: docs/journal-format.md.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"
#include "scheduler/cluster.h"
#include "scheduler/event.h"
#include "storage/tables.h"

namespace paddock::coordinator {

class Journal {
 public:
  // `database` is not owned and outlives this. kCorrupt: a newer version wrote it, or it is damaged.
  static Result<Journal> open(storage::Tables& database);

  // The cluster as it was before the first event that replay() visits.
  Result<scheduler::Cluster> restore() const;

  // Calls `visit` with every event in order. kCorrupt, with the sequence number: a record is damaged or
  // missing.
  Result<void> replay(const std::function<void(const scheduler::Event&)>& visit) const;

  // All or none, durable (synced) on return; NodeSeen is passed over. `also`: changes outside of the journal
  // that happen with them or not at all. An error means that nothing may be said about what was to be
  // journaled: stop, start again and replay.
  Result<void> append(const std::vector<scheduler::Event>& events, const storage::Batch& also = {});

  // Writes down the cluster, to which all events have been applied: they need no replay any more and are
  // removed. kUnavailable, kExhausted: the disk refuses; the journal is as it was, but see storage::Tables::write.
  Result<void> take_snapshot(const scheduler::Cluster& cluster);

  std::uint64_t next_sequence() const { return next_; }
  // How many a start would replay.
  std::uint64_t events_since_snapshot() const { return next_ - first_; }

 private:
  Journal(storage::Tables& database, std::uint64_t first, std::uint64_t next)
      : database_(&database), first_(first), next_(next) {}

  storage::Tables* database_;
  std::uint64_t first_;  // after the newest snapshot
  std::uint64_t next_;
};

}  // namespace paddock::coordinator
