#include "jobs/model/picture_inputs.h"

#include <algorithm>
#include <stdexcept>

#include "data/decode.h"
#include "jobs/value_or_throw.h"

namespace paddock::jobs {
namespace fs = std::filesystem;

PictureInputs::PictureInputs(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (!fs::exists(path)) throw std::invalid_argument(path + ": there is no such file or folder");
    if (!fs::is_directory(path))
      add({path});
    else if (fs::exists(fs::path(path) / "index.json"))
      add_shards(path);
    else
      add_folder(path);
  }
}

Result<data::Image> PictureInputs::read(std::size_t index, int channels) const {
  const Input& input = pictures_[index];
  if (input.is_folder_link)
    return fail(Code::kInvalid, "a link to a folder, which is not followed; name the folder itself");
  const auto read = [&] {
    return input.set == nullptr ? storage::read_file(disk_, input.name, storage::kPictureBytesMax)
                                : input.set->read_picture(input.sample);
  };
  TRY_ASSIGN(const storage::Bytes file, read(), "reading");
  return data::decode_image(file.view(), {}, channels);
}

void PictureInputs::add(Input input) {
  if (input.name.find('\n') != std::string::npos)
    throw std::invalid_argument(input.name +
                                ": has a line break in its name, which lists of names cannot hold");
  pictures_.push_back(std::move(input));
}

void PictureInputs::add_folder(const fs::path& dir) {
  std::vector<Input> files;
  std::error_code error;
  for (fs::recursive_directory_iterator at(dir, error); !error && at != fs::recursive_directory_iterator();
       at.increment(error)) {
    std::error_code is_gone;  // a link to nothing is no folder: reading it says what is wrong
    const bool is_folder = at->is_directory(is_gone), is_link = at->is_symlink(is_gone);
    if (is_folder && !is_link) continue;
    files.push_back({at->path().generic_string()});
    files.back().is_folder_link = is_folder;
  }
  if (error) throw std::invalid_argument(dir.string() + ": cannot be walked: " + error.message());
  if (files.empty()) throw std::invalid_argument(dir.string() + ": is a folder without files");
  std::sort(files.begin(), files.end(), [](const Input& x, const Input& y) { return x.name < y.name; });
  for (Input& file : files) add(std::move(file));
}

void PictureInputs::add_shards(const fs::path& dir) {
  sets_.push_back(std::make_unique<storage::ShardSet>(
      value_or_throw(storage::ShardSet::open(disk_, dir), "opening the pictures")));
  const storage::ShardSet& set = *sets_.back();
  for (std::uint64_t i = 0; i < set.size(); ++i)
    pictures_.push_back({(dir / std::string(set.key(i))).generic_string(), &set, i});
}

}  // namespace paddock::jobs
