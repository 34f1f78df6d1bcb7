// jobs/checkpoint_writer.h – writes snapshots in a thread of its own while the steps go on.
// One is written at a time; handing over the next waits for it. Reported when durable, then old ones are removed.
// Threads: one owner. Throws what the writing thread met, at the next call: std::runtime_error, also when a newer attempt
// owns the run.
#pragma once

#include <filesystem>
#include <future>
#include <optional>

#include "jobs/report_channel.h"
#include "jobs/training_state.h"
#include "storage/checkpoint.h"

namespace paddock::jobs {

class CheckpointWriter {
 public:
  // Claims the run for `fence`; 0 (a rank started by hand) takes the run over from whoever had it. `report` outlives this.
  CheckpointWriter(const std::filesystem::path& run_dir, std::uint64_t fence, std::int64_t keep,
                   ReportChannel& report);
  ~CheckpointWriter();

  void write(Snapshot snapshot);
  // Waits until everything handed over is durable; the newest one, if any was written by this object.
  std::optional<storage::CheckpointInfo> finish();

 private:
  storage::CheckpointInfo write_now(const Snapshot& snapshot);

  const std::filesystem::path run_dir_;
  const std::size_t keep_;
  ReportChannel& report_;
  storage::RealDisk disk_;
  Fence fence_;
  std::future<storage::CheckpointInfo> pending_;
  std::optional<storage::CheckpointInfo> newest_;
};

}  // namespace paddock::jobs
