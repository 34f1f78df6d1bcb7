// jobs/model/output_files.h – results that appear whole or not at all, and never over something else unasked.
// Threads: pure functions of the disk.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "data/image.h"
#include "model/weights.h"
#include "storage/safetensors.h"

namespace paddock::jobs {

// Call before any work is done for `path`. Throws std::invalid_argument when something is there and not `force`, or when
// it is a folder where a file is wanted.
void refuse_existing(const std::filesystem::path& path, bool force);

// Files of one result: each is written beside its place, and all are renamed one right after the other once all are written.
// When writing any of them fails, the places keep what they had.
class FilesTogether {
 public:
  FilesTogether() = default;
  ~FilesTogether();  // removes what was not published
  FilesTogether(const FilesTogether&) = delete;
  FilesTogether& operator=(const FilesTogether&) = delete;

  // Where to write what shall be `path`; its folder is made.
  std::filesystem::path staged(const std::filesystem::path& path);
  // In the order of staged(): durable on return. Throws std::runtime_error for the disk.
  void publish();

 private:
  std::vector<std::filesystem::path> paths_;
};

// Each is atomic and durable on return, and makes the folders above the file. Throws std::runtime_error for the disk.
void write_text_file(const std::filesystem::path& path, std::string_view text);
void write_png_file(const std::filesystem::path& path, const data::Image& picture);
// Tensors contiguous on the CPU, in the order given.
void write_tensor_file(const std::filesystem::path& path, const model::NamedTensors& tensors,
                       const storage::TensorMetadata& metadata);

}  // namespace paddock::jobs
