// coordinator/journal.h – all events since the beginning, in order: the truth that the cluster is replayed
// from. Column "journal" of the database: key = sequence number from 1, value = event_json.h. Number 0 names
// the format. Threads: the coordinator's own. Format: docs/journal-format.md.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"
#include "scheduler/event.h"
#include "storage/database.h"

namespace paddock::coordinator {

class Journal {
 public:
  // `database` is not owned and outlives this. kCorrupt: the column holds another format.
  static Result<Journal> open(storage::Database& database);

  // Calls `visit` with every event in order. kCorrupt, with the sequence number: a record is damaged or
  // missing.
  Result<void> replay(const std::function<void(const scheduler::Event&)>& visit) const;

  // All or none, durable (synced) on return; NodeSeen is passed over. An error means that nothing may be said
  // about what was to be journaled: stop, start again and replay.
  Result<void> append(const std::vector<scheduler::Event>& events);

  std::uint64_t next_sequence() const { return next_; }

 private:
  Journal(storage::Database& database, std::uint64_t next) : database_(&database), next_(next) {}

  storage::Database* database_;
  std::uint64_t next_;
};

}  // namespace paddock::coordinator
