#include "jobs/model/picture_names.h"

#include <set>

namespace paddock::jobs {

std::vector<std::filesystem::path> png_paths(const std::filesystem::path& dir,
                                             const std::vector<NamedPicture>& pictures) {
  std::vector<std::filesystem::path> paths;
  std::set<std::string> taken;
  for (const NamedPicture& picture : pictures) {
    const std::string stem = std::filesystem::path(picture.name).stem().string();
    std::string name = stem;
    for (int number = 2; !taken.insert(name).second; ++number) name = stem + '-' + std::to_string(number);
    paths.push_back(dir / (name + ".png"));
  }
  return paths;
}

}  // namespace paddock::jobs
