#include "jobs/model/picture_names.h"

#include "jobs/model/output_files.h"

namespace paddock::jobs {

std::filesystem::path PngNames::next(const std::string& picture) {
  const std::string stem = std::filesystem::path(picture).stem().string();
  int& number = numbers_.try_emplace(stem, 0).first->second;
  std::string name;
  do {
    name = ++number == 1 ? stem : stem + '-' + std::to_string(number);
  } while (!taken_.insert(name).second);
  return dir_ / (name + ".png");
}

void refuse_existing_pngs(const std::filesystem::path& dir, const PictureInputs& inputs, bool force) {
  PngNames names(dir);
  // What some of the inputs are given is among what all of them are.
  for (std::size_t i = 0; i < inputs.size(); ++i) refuse_existing(names.next(inputs.name(i)), force);
}

}  // namespace paddock::jobs
