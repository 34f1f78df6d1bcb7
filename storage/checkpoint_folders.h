// storage/checkpoint_folders.h – the names inside RUN/ that make up a run's checkpoints, for the writer and
// the reader.
//   checkpoints/step-0000000100/           committed
//   checkpoints/step-0000000100.replaced/  the one before it, while it is being replaced; counts when the
//   first is absent checkpoints/.tmp-…/                    being written or being removed; never read
//   checkpoints/damaged-…/                 moved out of the way; never read, never removed
//   fences/00000000000000000007            one empty file a claim; the greatest number owns the run
// Threads: pure functions of the disk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/disk.h"

namespace paddock::storage {

inline constexpr std::int64_t kStepMax = 9'999'999'999;
inline constexpr const char* kManifestName = "manifest.json";
inline constexpr const char* kManifestHashName = "manifest.xxh128";

inline fs::path checkpoints_dir(const fs::path& run_dir) {
  return run_dir / "checkpoints";
}
inline fs::path fences_dir(const fs::path& run_dir) {
  return run_dir / "fences";
}

// "step-0000000100"
std::string step_name(std::int64_t step);

struct StepFolder {
  std::int64_t step = 0;
  bool is_replaced = false;
  fs::path path;
};

// Empty when `name` is neither step-… nor step-….replaced.
std::optional<StepFolder> parse_step_folder(const fs::path& path);
// Newest step first, and of one step the replaced one last. Empty when the run has no folder.
Result<std::vector<StepFolder>> list_step_folders(Disk& disk, const fs::path& run_dir);

}  // namespace paddock::storage
