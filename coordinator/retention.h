// coordinator/retention.h – when what ended graphs have left behind goes for good: their rows in the archive, what is
// known of their checkpoints, and the output of their ranks, by age and by number of jobs, the ones that ended first
// first. What they made stays: nothing in the store is touched. Little at a time, so that nobody waits for it; what was begun is gone on with after a restart. Threads: the
// coordinator's own.
#pragma once

#include <set>

#include "base/log.h"
#include "base/result.h"
#include "coordinator/archive.h"
#include "coordinator/logs.h"
#include "coordinator/options.h"

namespace paddock::coordinator {

class Retention {
 public:
  // Nothing is owned; all outlive this.
  Retention(const CoordinatorOptions& options, Archive& archive, Logs& logs, const Log& log)
      : options_(options), archive_(archive), logs_(logs), log_(log) {}

  // Removes what is due now, some of it. True: there is more, ask again soon. kUnavailable, kExhausted: the disk refuses;
  // see storage::Tables::write. Output that cannot be removed is said once, tried again when all else is done, and keeps
  // nothing else from going.
  Result<bool> look(WallTime now);

 private:
  bool is_due(const Archive::Ended& graph, WallTime now) const;
  Result<bool> remove_logs();
  void note_stuck(GraphId graph, const Error& error);

  const CoordinatorOptions& options_;
  Archive& archive_;
  Logs& logs_;
  const Log& log_;
  GraphId looked_at_{};        // of those that are gone: the last whose output was tried in this round
  std::set<GraphId> stuck_{};  // whose output could not be removed, as was said
  bool is_listed_ = false;     // every graph of the archive has its row by the time of its end
};

}  // namespace paddock::coordinator
