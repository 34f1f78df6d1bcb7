// jobs/checkpoint_writer.h – writes snapshots in a thread of its own while the steps go on.
// One is written at a time; handing over the next waits for it. Reported when durable, then old ones are removed: all but
// the newest run.keep_checkpoints, every run.keep_every-th step, and the one with the least held-out loss.
// Threads: one owner. Throws what the writing thread met, at the next call: std::runtime_error, also when a newer attempt
// owns the run.
#pragma once

#include <filesystem>
#include <future>
#include <map>
#include <optional>
#include <vector>

#include "jobs/report_channel.h"
#include "jobs/spec/training.h"
#include "jobs/training_state.h"
#include "storage/checkpoint.h"

namespace paddock::jobs {

// Held-out losses by the step they were measured after.
using HeldoutLosses = std::map<std::int64_t, double>;

// Steps of `checkpoints` that stay whatever their age: multiples of `keep_every` (0: none), and the one whose held-out loss,
// measured at that very step, is the least.
std::vector<std::int64_t> pinned_steps(const std::vector<storage::CheckpointInfo>& checkpoints,
                                       std::int64_t keep_every, const HeldoutLosses& losses);

class CheckpointWriter {
 public:
  // Claims the run for `fence`; 0 (a rank started by hand) takes the run over from whoever had it. `report` outlives this.
  CheckpointWriter(const std::filesystem::path& run_dir, std::uint64_t fence, const spec::RunSpec& run,
                   ReportChannel& report);
  ~CheckpointWriter();

  // `losses`: those measured so far, for the best.
  void write(Snapshot snapshot, HeldoutLosses losses);
  // Now, as a checkpoint of its own in another run's folder, unless a whole one of that step is there already.
  storage::CheckpointInfo write_apart(const std::filesystem::path& dir, const Snapshot& snapshot);
  // Waits until everything handed over is durable; the newest one, if any was written by this object.
  std::optional<storage::CheckpointInfo> finish();

 private:
  storage::CheckpointInfo write_now(const Snapshot& snapshot, const HeldoutLosses& losses);

  const std::filesystem::path run_dir_;
  const std::size_t keep_;
  const std::int64_t keep_every_;
  ReportChannel& report_;
  storage::RealDisk disk_;
  Fence fence_;
  std::future<storage::CheckpointInfo> pending_;
  std::optional<storage::CheckpointInfo> newest_;
};

}  // namespace paddock::jobs
