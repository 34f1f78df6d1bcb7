#include "jobs/checkpoint_writer.h"

#include <algorithm>
#include <cmath>

#include "jobs/tensors.h"
#include "jobs/value_or_throw.h"

namespace paddock::jobs {
namespace {

storage::CheckpointContent content_of(const Snapshot& snapshot, Fence fence) {
  storage::CheckpointContent content;
  content.step = snapshot.step;
  content.fence = fence;
  content.state = snapshot.state;
  for (const auto& [file, tensors] : snapshot.files) {
    std::vector<storage::TensorBytes> bytes;
    for (const auto& [name, tensor] : tensors) bytes.push_back(bytes_of_tensor(name, tensor));
    content.files.emplace_back(file, std::move(bytes));
  }
  return content;
}

}  // namespace

std::vector<std::int64_t> pinned_steps(const std::vector<storage::CheckpointInfo>& checkpoints,
                                       std::int64_t keep_every, const HeldoutLosses& losses) {
  std::vector<std::int64_t> pinned;
  std::optional<std::pair<double, std::int64_t>> best;
  for (const auto& checkpoint : checkpoints) {
    if (keep_every > 0 && checkpoint.step % keep_every == 0) pinned.push_back(checkpoint.step);
    const auto loss = losses.find(checkpoint.step);
    if (loss == losses.end() || !std::isfinite(loss->second)) continue;
    if (!best || loss->second < best->first) best = {loss->second, checkpoint.step};
  }
  if (best) pinned.push_back(best->second);
  return pinned;
}

CheckpointWriter::CheckpointWriter(const std::filesystem::path& run_dir, std::uint64_t fence,
                                   const spec::RunSpec& run, ReportChannel& report)
    : run_dir_(run_dir),
      keep_(static_cast<std::size_t>(run.keep_checkpoints)),
      keep_every_(run.keep_every),
      report_(report),
      fence_(fence) {
  if (fence == 0) {
    const auto owner = value_or_throw(storage::owner_of_run(disk_, run_dir_), "taking the run over");
    fence_ = Fence{std::max<std::uint64_t>(owner.value_or(Fence{1}).value, 1)};
  }
  value_or_throw(storage::claim_run(disk_, run_dir_, fence_), "claiming the run " + run_dir_.string());
}

CheckpointWriter::~CheckpointWriter() {
  if (pending_.valid()) pending_.wait();
}

void CheckpointWriter::write(Snapshot snapshot, HeldoutLosses losses) {
  finish();
  pending_ =
      std::async(std::launch::async, [this, snapshot = std::move(snapshot), losses = std::move(losses)] {
        return write_now(snapshot, losses);
      });
}

std::optional<storage::CheckpointInfo> CheckpointWriter::finish() {
  if (pending_.valid()) newest_ = pending_.get();
  return newest_;
}

storage::CheckpointInfo CheckpointWriter::write_apart(const std::filesystem::path& dir,
                                                      const Snapshot& snapshot) {
  value_or_throw(storage::claim_run(disk_, dir, fence_), "claiming " + dir.string());
  const auto whole = value_or_throw(storage::list_checkpoints(disk_, dir), "listing checkpoints");
  if (!whole.empty() && whole.front().step == snapshot.step) {
    if (const auto checkpoint = storage::load_checkpoint(disk_, whole.front().path))
      return checkpoint->info();
  }
  return value_or_throw(storage::write_checkpoint(disk_, dir, content_of(snapshot, fence_)),
                        "writing a checkpoint");
}

storage::CheckpointInfo CheckpointWriter::write_now(const Snapshot& snapshot, const HeldoutLosses& losses) {
  const auto info = value_or_throw(storage::write_checkpoint(disk_, run_dir_, content_of(snapshot, fence_)),
                                   "writing a checkpoint");
  report_.checkpoint(info.step, info.path.string(), info.hash, info.bytes);
  const auto whole = value_or_throw(storage::list_checkpoints(disk_, run_dir_), "listing checkpoints");
  value_or_throw(storage::prune_checkpoints(disk_, run_dir_, keep_, pinned_steps(whole, keep_every_, losses)),
                 "removing old checkpoints");
  return info;
}

}  // namespace paddock::jobs
