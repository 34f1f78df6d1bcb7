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

// Each is atomic and durable on return, and makes the folders above the file. Throws std::runtime_error for the disk.
void write_text_file(const std::filesystem::path& path, std::string_view text);
void write_png_file(const std::filesystem::path& path, const data::Image& picture);
// Tensors contiguous on the CPU, in the order given.
void write_tensor_file(const std::filesystem::path& path, const model::NamedTensors& tensors,
                       const storage::TensorMetadata& metadata);

}  // namespace paddock::jobs
