#include "jobs/model/output_files.h"

#include <stdexcept>

#include "data/encode.h"
#include "jobs/tensors.h"
#include "jobs/value_or_throw.h"

namespace paddock::jobs {
namespace {

namespace fs = std::filesystem;

void make_folder_of(storage::Disk& disk, const fs::path& path) {
  if (path.has_parent_path())
    value_or_throw(storage::make_dirs(disk, path.parent_path()), "making the folder of the results");
}

fs::path beside(const fs::path& path) {
  return path.string() + ".partial";
}

}  // namespace

FilesTogether::~FilesTogether() {
  for (const fs::path& path : paths_) {
    std::error_code ignored;  // there may be none, and whoever looks sees from its name that it is no result
    fs::remove(beside(path), ignored);
  }
}

fs::path FilesTogether::staged(const fs::path& path) {
  storage::RealDisk disk;
  make_folder_of(disk, path);
  paths_.push_back(path);
  return beside(path);
}

void FilesTogether::publish() {
  storage::RealDisk disk;
  for (const fs::path& path : paths_) value_or_throw(disk.rename(beside(path), path), "writing results");
  for (const fs::path& path : paths_)
    value_or_throw(disk.sync_dir(path.has_parent_path() ? path.parent_path() : "."), "writing results");
  paths_.clear();
}

void refuse_existing(const fs::path& path, bool force) {
  if (!fs::exists(path)) return;
  if (fs::is_directory(path))
    throw std::invalid_argument(path.string() + ": is a folder, where a file is to be written");
  if (!force) throw std::invalid_argument(path.string() + ": is there already; --force overwrites it");
}

void write_text_file(const fs::path& path, std::string_view text) {
  storage::RealDisk disk;
  make_folder_of(disk, path);
  value_or_throw(storage::write_atomically(disk, path, text), "writing results");
}

void write_png_file(const fs::path& path, const data::Image& picture) {
  storage::RealDisk disk;
  make_folder_of(disk, path);
  value_or_throw(storage::write_atomically(disk, path, data::encode_png(picture)), "writing results");
}

void write_tensor_file(const fs::path& path, const model::NamedTensors& tensors,
                       const storage::TensorMetadata& metadata) {
  storage::RealDisk disk;
  make_folder_of(disk, path);
  std::vector<storage::TensorBytes> bytes;
  for (const auto& [name, tensor] : tensors) bytes.push_back(bytes_of_tensor(name, tensor));
  value_or_throw(storage::write_safetensors(disk, path, bytes, metadata), "writing results");
}

}  // namespace paddock::jobs
