// storage/checkpoint_index.h – which checkpoints a run has, newest first, without asking the shared store.
// Column "checkpoints" of the coordinator's database; layout in docs/checkpoint-format.md. The index is
// expendable: the manifests on disk are the truth, and rebuild() makes it anew from them. A run is named by
// any string of 1 to 1,000 bytes without NUL (the coordinator takes "graph/job"). Threads: record
// and rebuild from the owner, the others from any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/checkpoint.h"
#include "storage/tables.h"

namespace paddock::storage {

class CheckpointIndex {
 public:
  explicit CheckpointIndex(Tables& database) : database_(database) {}

  // Adds `checkpoint` to its run, in place of one of the same step. Durable on return; twice is no error.
  // kFenced: the run has an entry with a newer fence; the reporter is stale. Other errors as Tables::write.
  Result<void> record(std::string_view run, const CheckpointInfo& checkpoint);
  // To be written with others: nothing is known any more of all runs whose names begin with `beginning`, nor of their fences.
  static void forget_runs(std::string_view beginning, Batch& batch);

  // Newest step first.
  Result<std::vector<CheckpointInfo>> list(std::string_view run) const;
  Result<std::optional<CheckpointInfo>> newest(std::string_view run) const;

  // Replaces the run's entries by what the manifests under `run_dir` say; gives their number. The fence never
  // sinks.
  Result<std::size_t> rebuild(std::string_view run, Disk& disk, const fs::path& run_dir);

 private:
  Tables& database_;  // not owned, outlives this
};

}  // namespace paddock::storage
