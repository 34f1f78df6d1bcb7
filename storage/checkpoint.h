// storage/checkpoint.h – a training run's states on disk: written whole or not at all, verified to the last
// byte before they are handed out. Format: docs/checkpoint-format.md. RUN/checkpoints/step-0000000100/ holds
// safetensors files, manifest.json and manifest.xxh128. A checkpoint's identity is the hash of its manifest,
// which has the hashes of everything else. One process writes a run (rank 0 of the attempt that claimed it);
// any number may read meanwhile. Readers change nothing. A damaged checkpoint stays where it is until its
// step is written again; then it is moved to checkpoints/damaged-…, never deleted, for a person to look at.
// Threads: no shared state; one writer at a time per run.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "storage/disk.h"
#include "storage/safetensors.h"

namespace paddock::storage {

struct CheckpointInfo {
  std::int64_t step = 0;
  Fence fence;              // of the attempt that wrote it
  fs::path path;            // its folder
  std::string hash;         // its identity: XXH3-128 of manifest.json
  std::uint64_t bytes = 0;  // of all its files
  bool operator==(const CheckpointInfo&) const = default;
};

// What to write. Tensor names are unique over all files, file names end in ".safetensors". Nothing here is
// owned by write_checkpoint; the tensors' bytes must stay as they are until it returns.
struct CheckpointContent {
  std::int64_t step = 0;  // 0 … 9'999'999'999
  Fence fence;
  nlohmann::json
      state;  // whatever the run needs beyond tensors: position, layout, options, origin of the bytes
  std::vector<std::pair<std::string, std::vector<TensorBytes>>> files;
};

// A verified checkpoint in memory. Movable; the tensors' spans stay valid while it (or what it was moved to)
// lives.
class Checkpoint {
 public:
  const CheckpointInfo& info() const { return info_; }
  const nlohmann::json& state() const { return state_; }
  // In the order of writing, all files or one. kNotFound: no such file.
  std::vector<TensorBytes> tensors() const;
  Result<std::vector<TensorBytes>> tensors(std::string_view file) const;
  // kNotFound names the tensor and the checkpoint.
  Result<TensorBytes> tensor(std::string_view name) const;

 private:
  friend class CheckpointReader;
  struct File {
    std::string name;
    SafetensorsFile tensors;
  };
  CheckpointInfo info_;
  nlohmann::json state_;
  std::vector<File> files_;
  std::map<std::string, TensorBytes, std::less<>> by_name_;
};

// Makes `fence` the run's owner, durably: from now on an older one cannot commit. Creates the run's folders.
// kFenced: a newer attempt owns the run: stop. Claiming again with the same fence is no error.
Result<void> claim_run(Disk& disk, const fs::path& run_dir, Fence fence);

// Who owns the run; empty when nobody ever claimed it (or it does not exist).
Result<std::optional<Fence>> owner_of_run(Disk& disk, const fs::path& run_dir);

// Writes, syncs, then names the checkpoint; committed and durable on return, invisible before. The run must
// be claimed by content.fence. Writing a step that exists replaces it: at every instant a reader finds the
// old or the new one. kFenced: stop. kInvalid: the content breaks a rule above, or the run is not claimed.
// kExhausted, kUnavailable: readers find what they found before, or (when only the last sync failed) the new
// one; a retry writes new files.
Result<CheckpointInfo> write_checkpoint(Disk& disk, const fs::path& run_dir,
                                        const CheckpointContent& content);

// Called with each checkpoint that was passed over and why: file, tensor and what is wrong with it
// (kCorrupt).
using OnDamaged = std::function<void(const fs::path& path, const Error& error)>;

// The newest whole checkpoint, every byte verified. kNotFound: there is none (read on_damaged's calls for
// why). kUnavailable, kDenied: the disk refused to say; nothing was concluded, retry.
Result<Checkpoint> load_newest_checkpoint(Disk& disk, const fs::path& run_dir, const OnDamaged& on_damaged);

// The checkpoint in that folder, every byte verified. kCorrupt names file, tensor and reason. kNotFound: no
// such folder.
Result<Checkpoint> load_checkpoint(Disk& disk, const fs::path& checkpoint_dir);

// The same without the tensors: manifest verified, files there with the right sizes. Reads a few KiB.
Result<CheckpointInfo> inspect_checkpoint(Disk& disk, const fs::path& checkpoint_dir);

// Those of a run that pass inspect_checkpoint, newest first; empty when the run has none.
Result<std::vector<CheckpointInfo>> list_checkpoints(Disk& disk, const fs::path& run_dir);

// Removes all but the newest `keep` (below 2 counts as 2) of list_checkpoints and the steps in `pinned`. Call
// after a write_checkpoint has returned. Damaged ones are not counted and not removed. Gives the steps
// removed.
Result<std::vector<std::int64_t>> prune_checkpoints(Disk& disk, const fs::path& run_dir, std::size_t keep,
                                                    const std::vector<std::int64_t>& pinned = {});

// Removes every checkpoint of a later step than `step`: a run that went back must not be resumed from what it left.
Result<void> drop_checkpoints_after(Disk& disk, const fs::path& run_dir, std::int64_t step);

}  // namespace paddock::storage
