#include "storage/open_files.h"

namespace paddock::storage {

namespace {

constexpr std::size_t kOpenFilesMax = 256;  // a process usually may have 1,024

}  // namespace

Result<OpenFiles::File> OpenFiles::get(std::size_t number, const std::function<Result<File>()>& open) {
  File known = files_.with([&](auto& files) -> File {
    const auto found = files.find(number);
    return found == files.end() ? nullptr : found->second;
  });
  if (known) return known;
  TRY_ASSIGN(File opened, open(), "opening");
  files_.with([&](auto& files) {
    // Beginning anew is simpler than ageing, and as good for a shuffled order.
    if (files.size() >= kOpenFilesMax) files.clear();
    files[number] = opened;
  });
  return opened;
}

void OpenFiles::forget(std::size_t number) {
  files_.with([&](auto& files) { files.erase(number); });
}

}  // namespace paddock::storage
