#include "jobs/checkpoint_writer.h"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <stdexcept>
#include <thread>

#include "jobs/tensors.h"
#include "jobs/value_or_throw.h"

namespace paddock::jobs {
namespace {

constexpr std::chrono::milliseconds kFirstPause{1'000}, kLongestPause{60'000}, kTick{200};
// At the end of an attempt: its grace period is short.
constexpr std::chrono::seconds kLastPatience{5};

// The disk said no in a way that may pass.
struct DiskRefused : std::runtime_error {
  using std::runtime_error::runtime_error;
};

bool may_pass(Code code) {
  return code == Code::kExhausted || code == Code::kUnavailable || code == Code::kDenied;
}

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
                                   const spec::RunSpec& run, ReportChannel& report,
                                   CheckpointWriterHooks hooks)
    : run_dir_(run_dir),
      keep_(static_cast<std::size_t>(run.keep_checkpoints)),
      keep_every_(run.keep_every),
      unsaved_max_(run.unsaved_seconds),
      report_(report),
      hooks_(std::move(hooks)),
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
  settle();
  snapshot_ = std::make_shared<const Snapshot>(std::move(snapshot));
  losses_ = std::move(losses);
  start();
}

void CheckpointWriter::look() {
  if (pending_.valid() && pending_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) settle();
  if (is_refused() && !pending_.valid() && Clock::now() >= again_at_) start();
}

void CheckpointWriter::finish() {
  settle();
  if (!finish_within(kLastPatience) && !pending_.valid())
    hooks_.tell(
        snapshot_->step,
        "the checkpoint of step " + std::to_string(snapshot_->step) +
            " is given up: the disk did not take it before the attempt had to end; the "
            "next one goes on from " +
            (newest_ ? "step " + std::to_string(newest_->step) : std::string("where this one began")));
  settle();
  snapshot_.reset();
  refusal_.clear();
}

bool CheckpointWriter::finish_within(std::chrono::milliseconds patience) {
  for (const auto end = Clock::now() + patience; Clock::now() < end; look()) {
    if (pending_.valid())
      pending_.wait_until(end);
    else if (is_refused())
      std::this_thread::sleep_for(kTick);  // room on a disk announces itself to nobody
    else
      break;
  }
  return !pending_.valid() && !is_refused();
}

void CheckpointWriter::start() {
  if (const auto why = hooks_.before(); !why.empty()) return refused(why);
  pending_ = std::async(std::launch::async, [this, snapshot = snapshot_, losses = losses_] {
    return write_now(*snapshot, losses);
  });
}

void CheckpointWriter::settle() {
  if (!pending_.valid()) return;
  try {
    newest_ = pending_.get();
  } catch (const DiskRefused& error) {
    return refused(error.what());
  }
  if (is_refused())
    hooks_.tell(newest_->step,
                "the disk takes checkpoints again, step " + std::to_string(newest_->step) + " is safe");
  snapshot_.reset();
  refusal_.clear();
  durable_at_ = Clock::now();
  pause_ = {};
}

void CheckpointWriter::refused(const std::string& why) {
  const auto unsaved = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - durable_at_);
  const std::string since = newest_ ? "step " + std::to_string(newest_->step) : "this attempt began";
  if (unsaved >= unsaved_max_)
    throw std::runtime_error("the disk has taken no checkpoint for " + std::to_string(unsaved.count()) +
                             " s, since " + since + ": " + why);
  if (why != refusal_)
    hooks_.tell(snapshot_->step, "the checkpoint of step " + std::to_string(snapshot_->step) +
                                     " could not be written and is tried again; training goes on for " +
                                     std::to_string((unsaved_max_ - unsaved).count()) +
                                     " s more without one since " + since + ": " + why);
  refusal_ = why;
  pause_ = std::clamp(2 * pause_, kFirstPause, kLongestPause);
  again_at_ = Clock::now() + pause_;
}

std::optional<storage::CheckpointInfo> CheckpointWriter::write_apart(const std::filesystem::path& dir,
                                                                     const Snapshot& snapshot) {
  const auto refused_by = [&](const Error& error) {
    if (!may_pass(error.code)) throw_error(error, "writing " + dir.string());
    hooks_.tell(snapshot.step, dir.string() + " could not be written and is tried again: " + error.message);
    return std::nullopt;
  };
  if (const auto claimed = storage::claim_run(disk_, dir, fence_); !claimed)
    return refused_by(claimed.error());
  const auto whole = value_or_throw(storage::list_checkpoints(disk_, dir), "listing checkpoints");
  if (!whole.empty() && whole.front().step == snapshot.step) {
    const auto checkpoint = storage::load_checkpoint(disk_, whole.front().path);
    if (checkpoint && checkpoint->state() == snapshot.state) return checkpoint->info();
  }
  const auto written = storage::write_checkpoint(disk_, dir, content_of(snapshot, fence_));
  if (!written) return refused_by(written.error());
  return *written;
}

storage::CheckpointInfo CheckpointWriter::write_now(const Snapshot& snapshot, const HeldoutLosses& losses) {
  const auto written = storage::write_checkpoint(disk_, run_dir_, content_of(snapshot, fence_));
  if (!written && may_pass(written.error().code)) throw DiskRefused(written.error().message);
  const auto info = value_or_throw(written, "writing a checkpoint");
  report_.checkpoint(info.step, info.path.string(), info.hash, info.bytes);
  if (const auto removed = remove_old(losses); !removed)
    std::cerr << "old checkpoints stay: " << removed.error().message << '\n';  // the next one tries again
  return info;
}

Result<void> CheckpointWriter::remove_old(const HeldoutLosses& losses) {
  TRY_ASSIGN(const auto whole, storage::list_checkpoints(disk_, run_dir_), "listing checkpoints");
  TRY(storage::prune_checkpoints(disk_, run_dir_, keep_, pinned_steps(whole, keep_every_, losses)),
      "removing old checkpoints");
  return {};
}

}  // namespace paddock::jobs
