// coordinator/snapshot.h – the whole cluster as it was after a record of the journal, so that a start replays
// only what came after. Column "snapshot" of the database; format: docs/journal-format.md. A snapshot counts
// from the batch on that names it and takes the records that it replaces out of the journal: killed at any
// instant before, the one before is there, and all the journal after it. Threads: the coordinator's own.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "scheduler/cluster.h"
#include "storage/tables.h"

namespace paddock::coordinator {

// The number of the last journal record that the newest snapshot holds; 0: there is none.
// kCorrupt: it was written by a newer version, or is damaged.
Result<std::uint64_t> snapshot_sequence(const storage::Tables& database);

// The cluster of the newest snapshot; an empty one if there is none. Errors as above.
Result<scheduler::Cluster> read_snapshot(const storage::Tables& database);

// Durable on return. `sequence`: of the last record applied to `cluster`. `journal_format`: what the journal's
// row 0 says from now on. kUnavailable, kExhausted: the disk refuses; nothing has changed.
Result<void> write_snapshot(storage::Tables& database, const scheduler::Cluster& cluster,
                            std::uint64_t sequence, const std::string& journal_format);

}  // namespace paddock::coordinator
