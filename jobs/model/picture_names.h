// jobs/model/picture_names.h – one PNG a picture: what the files are called.
// Threads: one owner.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "jobs/model/picture_inputs.h"

namespace paddock::jobs {

class PngNames {
 public:
  explicit PngNames(std::filesystem::path dir) : dir_(std::move(dir)) {}

  // dir/STEM.png of a picture's name without folder and extension; the second of one stem is STEM-2.png, and so on.
  std::filesystem::path next(const std::string& picture);

 private:
  const std::filesystem::path dir_;
  std::set<std::string> taken_;
  std::map<std::string, int> numbers_;  // of a stem, that came last
};

// Before any work is done: refuse_existing for all that PngNames can give these inputs, whichever of them prove unusable.
void refuse_existing_pngs(const std::filesystem::path& dir, const PictureInputs& inputs, bool force);

}  // namespace paddock::jobs
