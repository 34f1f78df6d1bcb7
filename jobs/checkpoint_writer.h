// jobs/checkpoint_writer.h – writes snapshots in a thread of its own while the steps go on.
// One is written at a time; handing over the next waits for it. Reported when durable, then old ones are removed: all but
// the newest run.keep_checkpoints, every run.keep_every-th step, and the one with the least held-out loss.
// A disk that is full, read-only or failing ends nothing at once: the snapshot is kept and tried again, or replaced by the next
// one, until run.unsaved_seconds have passed since the last that became durable.
// Threads: one owner. Throws what the writing thread met, at the next call: std::runtime_error, when that time has passed and
// when a newer attempt owns the run.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <optional>
#include <string>
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

struct CheckpointWriterHooks {
  // Makes durable what must be on disk before a checkpoint; empty, or why the disk did not take it.
  std::function<std::string()> before;
  // Of the checkpoint of `step`: that the disk refused it, and that it takes them again.
  std::function<void(std::int64_t step, const std::string& sentence)> tell;
};

class CheckpointWriter {
 public:
  // Claims the run for `fence`; 0 (a rank started by hand) takes the run over from whoever had it. `report` outlives this.
  CheckpointWriter(const std::filesystem::path& run_dir, std::uint64_t fence, const spec::RunSpec& run,
                   ReportChannel& report, CheckpointWriterHooks hooks);
  ~CheckpointWriter();

  // `losses`: those measured so far, for the best.
  void write(Snapshot snapshot, HeldoutLosses losses);
  // Now, as a checkpoint of its own in another run's folder, unless that very one is there already. Nothing: the disk does not
  // take it yet, and `tell` has been told why.
  std::optional<storage::CheckpointInfo> write_apart(const std::filesystem::path& dir,
                                                     const Snapshot& snapshot);
  // Once a step: tries a refused one again when it is time. Does not wait.
  void look();
  // Whether the newest snapshot was refused and is still to be written.
  bool is_refused() const { return !refusal_.empty(); }
  // Waits for what is being written, and a few seconds for a disk that refuses; then the snapshot is given up, which is told.
  void finish();
  // Waits until what was handed over is durable, at most `patience`. Whether it is.
  bool finish_within(std::chrono::milliseconds patience);
  // The newest that became durable, if any was written by this object.
  const std::optional<storage::CheckpointInfo>& newest() const { return newest_; }

 private:
  using Clock = std::chrono::steady_clock;

  void start();
  void settle();
  void refused(const std::string& why);
  storage::CheckpointInfo write_now(const Snapshot& snapshot, const HeldoutLosses& losses);
  Result<void> remove_old(const HeldoutLosses& losses);

  const std::filesystem::path run_dir_;
  const std::size_t keep_;
  const std::int64_t keep_every_;
  const std::chrono::seconds unsaved_max_;
  ReportChannel& report_;
  const CheckpointWriterHooks hooks_;
  storage::RealDisk disk_;
  Fence fence_;
  std::shared_ptr<const Snapshot> snapshot_;  // until it is durable
  HeldoutLosses losses_;
  std::future<storage::CheckpointInfo> pending_;
  std::optional<storage::CheckpointInfo> newest_;
  std::string refusal_;
  Clock::time_point durable_at_ = Clock::now(), again_at_;
  std::chrono::milliseconds pause_{};
};

}  // namespace paddock::jobs
