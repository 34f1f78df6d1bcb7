// storage/open_files.h – files kept open for reading, by number: descriptors are few, shards may be
// thousands.
// Threads: any.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>

#include "base/guarded.h"
#include "base/result.h"
#include "storage/disk.h"

namespace paddock::storage {

class OpenFiles {
 public:
  using File = std::shared_ptr<const ReadableFile>;

  // File `number`: as it was opened before, or as `open` opens it now. Who holds one keeps it open.
  Result<File> get(std::size_t number, const std::function<Result<File>()>& open);
  // The next get() opens it anew: for a file whose server has forgotten it (ESTALE).
  void forget(std::size_t number);

 private:
  Guarded<std::map<std::size_t, File>> files_;
};

}  // namespace paddock::storage
