#include "jobs/model/picture_inputs.h"

#include <algorithm>
#include <stdexcept>

#include "data/decode.h"
#include "jobs/value_or_throw.h"

namespace paddock::jobs {
namespace fs = std::filesystem;
namespace {

// A picture file above this is not one; it is refused before it is read into memory.
constexpr std::uint64_t kFileBytesMax = 256u << 20;

}  // namespace

PictureInputs::PictureInputs(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (!fs::exists(path)) throw std::invalid_argument(path + ": there is no such file or folder");
    if (!fs::is_directory(path))
      add_file(path);
    else if (fs::exists(fs::path(path) / "index.json"))
      add_shards(path);
    else
      add_folder(path);
  }
}

Result<data::Image> PictureInputs::read(std::size_t index) const {
  const Input& input = pictures_[index];
  if (input.set == nullptr) {
    TRY_ASSIGN(const auto file, storage::read_file(disk_, input.name, kFileBytesMax), "reading");
    return data::decode_image(file.view());
  }
  TRY_ASSIGN(const auto sample, input.set->read(input.sample), "reading");
  for (const char* extension : {"png", "jpg"})
    if (const auto member = sample.members.find(extension); member != sample.members.end())
      return data::decode_image(member->second);
  return fail(Code::kInvalid, "the sample has no member png or jpg");
}

void PictureInputs::add_file(std::string path) {
  if (path.find('\n') != std::string::npos)
    throw std::invalid_argument(path + ": has a line break in its name, which lists of names cannot hold");
  pictures_.push_back({std::move(path)});
}

void PictureInputs::add_folder(const fs::path& dir) {
  std::vector<std::string> files;
  std::error_code error;
  for (fs::recursive_directory_iterator at(dir, error); !error && at != fs::recursive_directory_iterator();
       at.increment(error)) {
    std::error_code is_gone;  // a link to nothing is no folder: reading it says what is wrong
    if (!at->is_directory(is_gone)) files.push_back(at->path().generic_string());
  }
  if (error) throw std::invalid_argument(dir.string() + ": cannot be walked: " + error.message());
  if (files.empty()) throw std::invalid_argument(dir.string() + ": is a folder without files");
  std::sort(files.begin(), files.end());
  for (std::string& file : files) add_file(std::move(file));
}

void PictureInputs::add_shards(const fs::path& dir) {
  sets_.push_back(std::make_unique<storage::ShardSet>(
      value_or_throw(storage::ShardSet::open(disk_, dir), "opening the pictures")));
  const storage::ShardSet& set = *sets_.back();
  for (std::uint64_t i = 0; i < set.size(); ++i)
    pictures_.push_back({(dir / std::string(set.key(i))).generic_string(), &set, i});
}

}  // namespace paddock::jobs
