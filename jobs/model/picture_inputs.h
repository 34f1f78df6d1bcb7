// jobs/model/picture_inputs.h – the pictures that a command is pointed at: files, folders, Paddock shard sets.
// A folder's files come sorted by their path, byte by byte; a folder with index.json is a shard set and gives its
// samples in their order. Nothing is left out here: a link to a folder, which is not followed, and what proves not
// to be a picture are errors of read(), for its caller to report. Threads: const members from any.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "data/image.h"
#include "storage/shard.h"

namespace paddock::jobs {

class PictureInputs {
 public:
  // Throws std::invalid_argument when a path is not there, a folder holds no file, or a name has a line break in it;
  // std::runtime_error when a shard set is damaged.
  explicit PictureInputs(const std::vector<std::string>& paths);

  std::size_t size() const { return pictures_.size(); }
  // The path; of a sample the set's path and its key.
  const std::string& name(std::size_t index) const { return pictures_[index].name; }
  // Reads and decodes to `channels` (data/decode.h). Error: why it cannot be had, without the name.
  Result<data::Image> read(std::size_t index, int channels) const;

 private:
  struct Input {
    std::string name;
    const storage::ShardSet* set = nullptr;  // null: a file of that name
    std::uint64_t sample = 0;
    bool is_folder_link = false;
  };

  void add(Input input);
  void add_folder(const std::filesystem::path& dir);
  void add_shards(const std::filesystem::path& dir);

  mutable storage::RealDisk disk_;
  std::vector<std::unique_ptr<storage::ShardSet>> sets_;
  std::vector<Input> pictures_;
};

}  // namespace paddock::jobs
