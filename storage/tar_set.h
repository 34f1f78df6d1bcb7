// storage/tar_set.h – the pictures in tar files of anybody's, as samples: no index of ours is needed, one is
// made (tar_index.h). Which members are pictures: tar_pictures.h. Samples stand in the order of the tars
// given and of their members. The identity covers names, sizes and hashes of all members, but neither the
// tars' names nor how they were packed. A tar whose size or time of change is another than the index's is
// read anew when the set is opened, and is kConflict afterwards; a member whose bytes are others under the
// same size and time is kCorrupt when it is read.
// Threads: const members from any.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/disk.h"
#include "storage/sample_set.h"

namespace paddock::storage {

struct TarSetOptions {
  // Where the index of DIR/NAME is kept when DIR cannot be written: spare_dir/NAME and the suffix.
  fs::path spare_dir = {};
  // Part `part` of `parts`: who opens the set as one of several at the same time begins with tars of its own,
  // so that together they make each index about once.
  std::uint64_t part = 0;
  std::uint64_t parts = 1;
  // Told of each tar that is ready, on the caller's thread.
  std::function<void(std::uint64_t done, std::uint64_t tars)> progress = {};
};

class TarSet final : public SampleSet {
 public:
  // `names` below `dir`, in their order. `disk` must outlive the set. Errors as open_tar_index.
  static Result<TarSet> open(Disk& disk, const fs::path& dir, const std::vector<std::string>& names,
                             const TarSetOptions& options = {});
  ~TarSet() override;
  TarSet(TarSet&&) noexcept;
  TarSet& operator=(TarSet&&) noexcept;

  std::uint64_t size() const override;
  std::string key(std::uint64_t i) const override;
  // Folders inside the tar count, not those around it.
  Result<SampleAbout> about(std::uint64_t i) const override;
  // the tar's name, '/', the member's
  Result<Bytes> read_picture(std::uint64_t i) const override;
  const std::string& hash() const override;

  // Members that belong to no sample, and the first of them: tar's name, '/', its own.
  std::uint64_t passed_over() const;
  const std::string& first_passed_over() const;

 private:
  struct State;
  explicit TarSet(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace paddock::storage
