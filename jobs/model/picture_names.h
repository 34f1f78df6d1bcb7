// jobs/model/picture_names.h – one PNG a picture: what the files are called.
// Threads: a pure function.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "jobs/model/decoded_pictures.h"

namespace paddock::jobs {

// dir/STEM.png of each picture's name without folder and extension; the second of one stem is STEM-2.png, and so on.
std::vector<std::filesystem::path> png_paths(const std::filesystem::path& dir,
                                             const std::vector<NamedPicture>& pictures);

}  // namespace paddock::jobs
