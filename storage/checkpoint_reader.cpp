// Finding and verifying: everything in storage/checkpoint.h that changes nothing on disk.
#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "storage/checkpoint.h"
#include "storage/checkpoint_folders.h"
#include "storage/hash.h"
#include "storage/manifest.h"

namespace paddock::storage {

namespace {

fs::path without_slash(const fs::path& dir) {
  return dir.has_filename() ? dir : dir.parent_path();
}

constexpr int kListingsMax =
    10;  // a writer that replaces or prunes more often while we look is no longer plausible

// A part that is not there means damage, unless the whole folder went away under us (replaced or pruned):
// kNotFound then. So does a manifest above its bound.
Error missing_part(Disk& disk, const fs::path& dir, const Error& error) {
  if (error.code == Code::kExhausted) return Error{Code::kCorrupt, error.message};
  if (error.code != Code::kNotFound) return error;
  const auto is_there = disk.exists(dir);
  if (!is_there) return is_there.error();
  return Error{*is_there ? Code::kCorrupt : Code::kNotFound, error.message};
}

Error corrupt(const std::string& file, const std::string& what) {
  return Error{Code::kCorrupt, file + ": " + what};
}

struct ReadManifest {
  Manifest manifest;
  CheckpointInfo info;
};

// The manifest against its own hash and the folder's name.
Result<ReadManifest> read_manifest(Disk& disk, const fs::path& dir) {
  const auto text = read_file(disk, dir / kManifestName, limits::kManifestBytesMax);
  if (!text) return tl::unexpected(missing_part(disk, dir, text.error()));
  const auto line = read_file(disk, dir / kManifestHashName, limits::kManifestBytesMax);
  if (!line) return tl::unexpected(missing_part(disk, dir, line.error()));
  const std::string hash = xxh3_hex(text->view());
  if (line->text() != xxh128sum_line(hash, kManifestName))
    return tl::unexpected(corrupt(std::string(kManifestName) + " or " + kManifestHashName,
                                  "the manifest has the hash " + hash + ", which is not the one recorded"));
  TRY_ASSIGN(auto manifest, parse_manifest(text->text()), kManifestName);
  const auto folder = parse_step_folder(dir);
  if (folder && folder->step != manifest.step)
    return tl::unexpected(corrupt(
        kManifestName, "it is of step " + std::to_string(manifest.step) + ", which is not the folder's"));
  CheckpointInfo info{.step = manifest.step,
                      .fence = manifest.fence,
                      .path = dir,
                      .hash = hash,
                      .bytes = text->size() + line->size()};
  for (const ManifestFile& file : manifest.files) info.bytes += file.bytes;
  return ReadManifest{std::move(manifest), std::move(info)};
}

Result<std::unique_ptr<ReadableFile>> open_listed(Disk& disk, const fs::path& dir,
                                                  const ManifestFile& listed) {
  auto file = disk.open(dir / listed.name);
  if (!file) return tl::unexpected(missing_part(disk, dir, file.error()));
  if ((*file)->size() != listed.bytes)
    return tl::unexpected(corrupt(listed.name, "it has " + std::to_string((*file)->size()) +
                                                   " bytes instead of " + std::to_string(listed.bytes)));
  return *std::move(file);
}

// Every byte of the file belongs to the header or to one tensor; both are compared with the manifest.
Result<SafetensorsFile> verify_file(Bytes bytes, const ManifestFile& listed) {
  const auto whole = bytes.view();
  if (listed.header_bytes > whole.size() || xxh3_hex(whole.first(listed.header_bytes)) != listed.header_hash)
    return tl::unexpected(corrupt(listed.name, "its header does not have the recorded hash"));
  TRY_ASSIGN(Safetensors contents, parse_safetensors(whole, listed.name), "verifying");
  if (contents.tensors.size() != listed.tensors.size())
    return tl::unexpected(corrupt(listed.name, "it has " + std::to_string(contents.tensors.size()) +
                                                   " tensors, the manifest " +
                                                   std::to_string(listed.tensors.size())));
  for (std::size_t i = 0; i < listed.tensors.size(); ++i) {
    const TensorBytes& found = contents.tensors[i];
    const ManifestTensor& expected = listed.tensors[i];
    const auto offset = static_cast<std::uint64_t>(found.bytes.data() - whole.data());
    if (found.name != expected.name || found.dtype != expected.dtype || found.shape != expected.shape ||
        offset != expected.offset || found.bytes.size() != expected.bytes)
      return tl::unexpected(
          corrupt(listed.name, "tensor \"" + found.name + "\" is not as the manifest has it"));
    if (xxh3_hex(found.bytes) != expected.hash)
      return tl::unexpected(
          corrupt(listed.name, "tensor \"" + found.name + "\" does not have the recorded hash"));
  }
  return SafetensorsFile{std::move(bytes), std::move(contents)};
}

}  // namespace

class CheckpointReader {
 public:
  static Result<Checkpoint> read(Disk& disk, const fs::path& dir) {
    TRY_ASSIGN(auto read, read_manifest(disk, dir), dir.string());
    Checkpoint checkpoint;
    checkpoint.info_ = std::move(read.info);
    checkpoint.state_ = std::move(read.manifest.state);
    for (const ManifestFile& listed : read.manifest.files) {
      TRY_ASSIGN(const auto file, open_listed(disk, dir, listed), dir.string());
      Bytes bytes(file->size());
      TRY(file->read_at(0, bytes.writable()), dir.string());
      TRY_ASSIGN(auto tensors, verify_file(std::move(bytes), listed), dir.string());
      for (const TensorBytes& tensor : tensors.contents.tensors)
        checkpoint.by_name_.emplace(tensor.name, tensor);
      checkpoint.files_.push_back({listed.name, std::move(tensors)});
    }
    return checkpoint;
  }
};

std::vector<TensorBytes> Checkpoint::tensors() const {
  std::vector<TensorBytes> all;
  for (const File& file : files_)
    all.insert(all.end(), file.tensors.contents.tensors.begin(), file.tensors.contents.tensors.end());
  return all;
}

Result<std::vector<TensorBytes>> Checkpoint::tensors(std::string_view name) const {
  for (const File& file : files_)
    if (file.name == name) return file.tensors.contents.tensors;
  return fail(Code::kNotFound, info_.path.string() + " has no file \"" + std::string(name) + "\"");
}

Result<TensorBytes> Checkpoint::tensor(std::string_view name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end())
    return fail(Code::kNotFound, info_.path.string() + " has no tensor \"" + std::string(name) + "\"");
  return found->second;
}

Result<Checkpoint> load_checkpoint(Disk& disk, const fs::path& checkpoint_dir) {
  return CheckpointReader::read(disk, without_slash(checkpoint_dir));
}

Result<Checkpoint> load_newest_checkpoint(Disk& disk, const fs::path& run_dir, const OnDamaged& on_damaged) {
  std::size_t damaged = 0;
  for (int listing = 0; listing < kListingsMax; ++listing) {
    TRY_ASSIGN(const auto folders, list_step_folders(disk, run_dir), "loading the newest checkpoint");
    bool has_moved = false;  // what we listed was replaced or pruned meanwhile: look again
    damaged = 0;
    for (const StepFolder& folder : folders) {
      auto loaded = load_checkpoint(disk, folder.path);
      if (loaded) return loaded;
      has_moved = loaded.error().code == Code::kNotFound;
      if (has_moved) break;
      if (loaded.error().code != Code::kCorrupt) return loaded;
      ++damaged;
      if (on_damaged) on_damaged(folder.path, loaded.error());
    }
    if (!has_moved) break;
  }
  return fail(Code::kNotFound, run_dir.string() + " has no whole checkpoint" +
                                   (damaged == 0 ? "" : " (" + std::to_string(damaged) + " damaged)"));
}

Result<CheckpointInfo> inspect_checkpoint(Disk& disk, const fs::path& checkpoint_dir) {
  const fs::path dir = without_slash(checkpoint_dir);
  TRY_ASSIGN(auto read, read_manifest(disk, dir), dir.string());
  for (const ManifestFile& listed : read.manifest.files) {
    TRY(open_listed(disk, dir, listed), dir.string());
  }
  return read.info;
}

Result<std::vector<CheckpointInfo>> list_checkpoints(Disk& disk, const fs::path& run_dir) {
  TRY_ASSIGN(const auto folders, list_step_folders(disk, run_dir), "listing checkpoints");
  std::vector<CheckpointInfo> whole;
  for (const StepFolder& folder : folders) {
    if (!whole.empty() && whole.back().step == folder.step) continue;  // the replaced one of a whole one
    auto info = inspect_checkpoint(disk, folder.path);
    if (info) {
      whole.push_back(*std::move(info));
    } else if (info.error().code != Code::kCorrupt && info.error().code != Code::kNotFound) {
      return tl::unexpected(info.error());
    }
  }
  return whole;
}

}  // namespace paddock::storage
