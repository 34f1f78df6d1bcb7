// data/file_set.h – plain picture files as samples. The identity covers every path, size and time of change,
// not the bytes: a huge folder is never read whole. Copy one with its times (`cp -a`, `rsync -a`), or it is
// another set.
// Threads: const members from any.
#pragma once

#include <string>
#include <vector>

#include "data/file_listing.h"
#include "storage/name_table.h"
#include "storage/sample_set.h"

namespace paddock::data {

class FileSet final : public storage::SampleSet {
 public:
  // `files` below `dir`, in their order. `disk` must outlive the set.
  FileSet(storage::Disk& disk, storage::fs::path dir, const std::vector<ListedFile>& files);

  std::uint64_t size() const override { return names_.size(); }
  std::string key(std::uint64_t i) const override { return std::string(names_[i]); }
  // kConflict also when the file is gone.
  Result<storage::Bytes> read_picture(std::uint64_t i) const override;
  const std::string& hash() const override { return hash_; }

 private:
  struct Facts {
    std::uint64_t bytes = 0;
    std::int64_t modified_ns = 0;
  };

  storage::Disk& disk_;
  const storage::fs::path dir_;
  storage::NameTable names_;
  std::vector<Facts> facts_;
  std::string hash_;
};

}  // namespace paddock::data
