#include "data/file_set.h"

#include <utility>

#include "storage/hash.h"

namespace paddock::data {

FileSet::FileSet(storage::Disk& disk, storage::fs::path dir, const std::vector<ListedFile>& files)
    : disk_(disk), dir_(std::move(dir)) {
  storage::Hasher identity;
  identity.update("paddock-files 1\n");
  facts_.reserve(files.size());
  for (const ListedFile& file : files) {
    identity.update(file.path + '\0' + std::to_string(file.bytes) + ' ' + std::to_string(file.modified_ns) +
                    '\n');
    names_.add(file.path);
    facts_.push_back({file.bytes, file.modified_ns});
  }
  hash_ = identity.hex();
}

Result<storage::Bytes> FileSet::read_picture(std::uint64_t i) const {
  const storage::fs::path path = dir_ / names_[i];
  const auto changed = [&](const char* how) {
    return fail(Code::kConflict,
                path.string() + how +
                    " since this set was opened: the run has lost what it was learning from; "
                    "put the file back, or give a new run another folder");
  };
  auto file = disk_.open(path);
  if (!file && file.error().code == Code::kNotFound) return changed(" was removed");
  if (!file) return tl::unexpected(file.error());
  if ((*file)->size() != facts_[i].bytes || (*file)->modified_ns() != facts_[i].modified_ns)
    return changed(" was changed");
  if ((*file)->size() > storage::kPictureBytesMax)
    return fail(Code::kInvalid,
                "it has " + std::to_string((*file)->size()) + " bytes: no picture has so many");
  storage::Bytes bytes((*file)->size());
  TRY((*file)->read_at(0, bytes.writable()), "reading a picture");
  return bytes;
}

}  // namespace paddock::data
