// Claiming, committing and pruning: everything in storage/checkpoint.h that changes the disk.
// Invariants: (1) step-N appears by one rename of a folder whose every file is synced; (2) what is removed is
// first renamed to .tmp-…, so no reader ever meets half of it; (3) a whole step-N that is replaced stays
// readable as step-N.replaced until the new one is durable.
#include <algorithm>
#include <set>
#include <utility>

#include "storage/checkpoint.h"
#include "storage/checkpoint_folders.h"
#include "storage/hash.h"
#include "storage/manifest.h"

namespace paddock::storage {

namespace {

constexpr std::string_view kTemporary = ".tmp-";
constexpr std::size_t kFenceDigits = 20;
constexpr int kDamagedNamesMax = 1'000;

std::string fence_name(Fence fence) {
  const std::string digits = std::to_string(fence.value);
  return std::string(kFenceDigits - digits.size(), '0') + digits;
}

Result<void> check_owner(Disk& disk, const fs::path& run_dir, Fence fence) {
  TRY_ASSIGN(const auto owner, owner_of_run(disk, run_dir), "asking who owns " + run_dir.string());
  if (owner == fence) return {};
  if (!owner || *owner < fence)
    return fail(Code::kInvalid, run_dir.string() + " is not claimed by fence " + std::to_string(fence.value));
  return fail(Code::kFenced, run_dir.string() + " is owned by fence " + std::to_string(owner->value) +
                                 ", newer than " + std::to_string(fence.value) + ": stop");
}

bool is_file_name(std::string_view name) {
  constexpr std::string_view kSuffix = ".safetensors";
  return name.size() > kSuffix.size() && name.size() <= 100 && name.ends_with(kSuffix) &&
         name.front() != '.' && std::all_of(name.begin(), name.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                  c == '-' || c == '.';
         });
}

Result<void> check_content(const CheckpointContent& content) {
  if (content.step < 0 || content.step > kStepMax)
    return fail(Code::kInvalid, "a checkpoint cannot have step " + std::to_string(content.step));
  std::set<std::string_view> files;
  std::set<std::string_view> tensors;
  for (const auto& [file, contents] : content.files) {
    if (!is_file_name(file) || !files.insert(file).second)
      return fail(Code::kInvalid, "\"" + file + "\" is not a new plain name that ends in .safetensors");
    for (const TensorBytes& tensor : contents)
      if (!tensors.insert(tensor.name).second)
        return fail(Code::kInvalid, "tensor \"" + tensor.name + "\" is twice in the checkpoint");
  }
  return {};
}

Result<ManifestFile> write_file(Disk& disk, const fs::path& path, const std::vector<TensorBytes>& tensors) {
  TRY_ASSIGN(const std::string header, safetensors_header(tensors), path.string());
  ManifestFile listed{.name = path.filename().string(),
                      .bytes = header.size(),
                      .header_bytes = header.size(),
                      .header_hash = xxh3_hex(header),
                      .tensors = {}};
  TRY_ASSIGN(const auto file, disk.create(path), "writing a checkpoint");
  TRY(file->append(bytes_of(header)), "writing a checkpoint");
  for (const TensorBytes& tensor : tensors) {
    TRY(file->append(tensor.bytes), "writing tensor " + tensor.name);
    listed.tensors.push_back({.name = tensor.name,
                              .dtype = tensor.dtype,
                              .shape = tensor.shape,
                              .offset = listed.bytes,
                              .bytes = tensor.bytes.size(),
                              .hash = xxh3_hex(tensor.bytes)});
    listed.bytes += tensor.bytes.size();
  }
  TRY(file->sync(), "writing a checkpoint");
  return listed;
}

Result<void> write_text(Disk& disk, const fs::path& path, std::string_view text) {
  TRY_ASSIGN(const auto file, disk.create(path), "writing a checkpoint");
  TRY(file->append(bytes_of(text)), "writing a checkpoint");
  return file->sync();
}

// Everything of the checkpoint, durable, in a folder that no reader looks at.
Result<CheckpointInfo> write_folder(Disk& disk, const fs::path& dir, const CheckpointContent& content) {
  TRY(disk.make_dir(dir), "writing a checkpoint");
  Manifest manifest{.step = content.step, .fence = content.fence, .state = content.state, .files = {}};
  CheckpointInfo info{.step = content.step, .fence = content.fence, .path = {}, .hash = {}, .bytes = 0};
  for (const auto& [name, tensors] : content.files) {
    TRY_ASSIGN(auto listed, write_file(disk, dir / name, tensors), "writing a checkpoint");
    info.bytes += listed.bytes;
    manifest.files.push_back(std::move(listed));
  }
  TRY_ASSIGN(const std::string text, print_manifest(manifest), "writing a checkpoint");
  info.hash = xxh3_hex(text);
  const std::string hash_line = xxh128sum_line(info.hash, kManifestName);
  TRY(write_text(disk, dir / kManifestName, text), "writing a checkpoint");
  TRY(write_text(disk, dir / kManifestHashName, hash_line), "writing a checkpoint");
  TRY(disk.sync_dir(dir), "writing a checkpoint");
  info.bytes += text.size() + hash_line.size();
  return info;
}

// Removes a folder so that no reader, nor a crash, ever leaves half of it under a name that counts.
Result<void> discard(Disk& disk, const fs::path& dir) {
  const fs::path doomed =
      dir.parent_path() / (std::string(kTemporary) + "discarded-" + dir.filename().string());
  TRY(disk.remove_all(doomed), "removing a checkpoint");
  TRY(disk.rename(dir, doomed), "removing a checkpoint");
  TRY(disk.sync_dir(dir.parent_path()), "removing a checkpoint");  // or the files could go and the name stay
  return disk.remove_all(doomed);
}

Result<void> remove_leftovers(Disk& disk, const fs::path& dir) {
  TRY_ASSIGN(const auto names, disk.list(dir), "removing what a killed writer left");
  for (const std::string& name : names) {
    if (name.starts_with(kTemporary)) TRY(disk.remove_all(dir / name), "removing what a killed writer left");
  }
  return {};
}

// A free name for a damaged checkpoint: it is kept for a person to look at.
Result<fs::path> damaged_name(Disk& disk, const fs::path& step_dir) {
  for (int number = 1; number <= kDamagedNamesMax; ++number) {
    const fs::path name =
        step_dir.parent_path() / ("damaged-" + step_dir.filename().string() + "-" + std::to_string(number));
    TRY_ASSIGN(const bool is_taken, disk.exists(name), "moving a damaged checkpoint away");
    if (!is_taken) return name;
  }
  return fail(Code::kExhausted, "too many damaged checkpoints beside " + step_dir.string() + ": remove some");
}

// Frees the name step-N without losing what is there: a whole one stays readable, a damaged one is kept.
Result<void> move_aside(Disk& disk, const fs::path& step_dir, const fs::path& replaced) {
  TRY_ASSIGN(const bool is_there, disk.exists(step_dir), "replacing a checkpoint");
  if (!is_there) return {};
  const auto old = load_checkpoint(disk, step_dir);
  if (!old && old.error().code == Code::kCorrupt) {
    TRY_ASSIGN(const fs::path kept, damaged_name(disk, step_dir), "replacing a checkpoint");
    return disk.rename(step_dir, kept);
  }
  if (!old) return tl::unexpected(old.error().within("replacing a checkpoint"));
  TRY_ASSIGN(const bool is_taken, disk.exists(replaced), "replacing a checkpoint");
  if (is_taken)
    TRY(discard(disk, replaced), "replacing a checkpoint");  // step-N is whole, so it stands for nothing
  return disk.rename(step_dir, replaced);
}

// The commit: from the rename on readers see it, from sync_dir on it outlives a power cut.
Result<void> put_in_place(Disk& disk, const fs::path& temporary, const fs::path& step_dir) {
  const fs::path replaced = step_dir.string() + ".replaced";
  TRY(move_aside(disk, step_dir, replaced), "committing a checkpoint");
  TRY(disk.rename(temporary, step_dir), "committing a checkpoint");
  TRY(disk.sync_dir(step_dir.parent_path()), "committing a checkpoint");
  // Committed: should removing fail now, what stays is never read while step-N is whole, and goes with the
  // next replacement.
  if (const auto is_there = disk.exists(replaced); is_there && *is_there)
    static_cast<void>(discard(disk, replaced));
  return {};
}

}  // namespace

Result<std::optional<Fence>> owner_of_run(Disk& disk, const fs::path& run_dir) {
  const auto names = disk.list(fences_dir(run_dir));
  if (!names && names.error().code == Code::kNotFound) return std::optional<Fence>();
  if (!names) return tl::unexpected(names.error());
  std::optional<Fence> owner;
  for (const std::string& name : *names) {
    if (name.size() != kFenceDigits || name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::uint64_t number = 0;
    for (const char digit : name) number = 10 * number + static_cast<std::uint64_t>(digit - '0');
    owner = std::max(owner.value_or(Fence()), Fence(number));
  }
  return owner;
}

Result<void> claim_run(Disk& disk, const fs::path& run_dir, Fence fence) {
  const fs::path dir = fences_dir(run_dir);
  TRY(make_dirs(disk, dir), "claiming a run");
  TRY(make_dirs(disk, checkpoints_dir(run_dir)), "claiming a run");
  TRY_ASSIGN(const auto owner, owner_of_run(disk, run_dir), "claiming a run");
  if (owner && *owner > fence) return check_owner(disk, run_dir, fence);
  // A file of its own for every fence: two attempts that claim at once both succeed, and the newer one owns
  // the run.
  TRY_ASSIGN(const auto file, disk.create(dir / fence_name(fence)), "claiming a run");
  TRY(file->sync(), "claiming a run");
  TRY(disk.sync_dir(dir), "claiming a run");
  return check_owner(disk, run_dir, fence);
}

Result<CheckpointInfo> write_checkpoint(Disk& disk, const fs::path& run_dir,
                                        const CheckpointContent& content) {
  TRY(check_content(content), "writing a checkpoint");
  TRY(check_owner(disk, run_dir, content.fence), "writing a checkpoint");
  const fs::path dir = checkpoints_dir(run_dir);
  TRY(remove_leftovers(disk, dir), "writing a checkpoint");
  const fs::path step_dir = dir / step_name(content.step);
  const fs::path temporary =
      dir / (std::string(kTemporary) + step_name(content.step) + "-" + std::to_string(content.fence.value));
  const auto write = [&]() -> Result<CheckpointInfo> {
    TRY_ASSIGN(auto info, write_folder(disk, temporary, content), step_dir.string());
    // Asked again because writing may have taken minutes; docs/checkpoint-format.md says what remains of the
    // window.
    TRY(check_owner(disk, run_dir, content.fence), "committing a checkpoint");
    TRY(put_in_place(disk, temporary, step_dir), step_dir.string());
    info.path = step_dir;
    return info;
  };
  auto written = write();
  // Gives the space back at once, which a full disk needs; the error that counts is the first one.
  if (!written) static_cast<void>(disk.remove_all(temporary));
  return written;
}

Result<std::vector<std::int64_t>> prune_checkpoints(Disk& disk, const fs::path& run_dir, std::size_t keep,
                                                    const std::vector<std::int64_t>& pinned) {
  TRY_ASSIGN(const auto whole, list_checkpoints(disk, run_dir), "pruning checkpoints");
  std::vector<std::int64_t> removed;
  for (std::size_t i = std::max<std::size_t>(keep, 2); i < whole.size(); ++i) {
    if (std::find(pinned.begin(), pinned.end(), whole[i].step) != pinned.end()) continue;
    TRY(discard(disk, whole[i].path), "pruning checkpoints");
    removed.push_back(whole[i].step);
  }
  if (!removed.empty()) TRY(disk.sync_dir(checkpoints_dir(run_dir)), "pruning checkpoints");
  return removed;
}

Result<void> drop_checkpoints_after(Disk& disk, const fs::path& run_dir, std::int64_t step) {
  TRY_ASSIGN(const auto whole, list_checkpoints(disk, run_dir), "dropping checkpoints");
  for (const auto& checkpoint : whole) {
    if (checkpoint.step > step) TRY(discard(disk, checkpoint.path), "dropping checkpoints");
  }
  TRY(disk.sync_dir(checkpoints_dir(run_dir)), "dropping checkpoints");
  return {};
}

}  // namespace paddock::storage
