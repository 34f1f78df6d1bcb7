// data/file_listing.h – the picture files that a folder holds or a list names, without a byte of them read.
// Looking at a file over a network is mostly waiting, so many threads look at once; what is found doesn't
// depend on them.
// Threads: called from one; the disk is asked by several (see `threads`).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/disk.h"

namespace paddock::data {

struct ListedFile {
  std::string path;  // below the folder, or as the list has it
  std::uint64_t bytes = 0;
  std::int64_t modified_ns = 0;
};

struct FolderFiles {
  std::vector<ListedFile> pictures;  // by storage::is_picture_name, sorted by path, byte by byte
  std::vector<std::string> tars;     // NAME.tar, sorted likewise
  // What is neither: other files, links that lead nowhere or back to a folder above them, sockets. Names that
  // begin with a dot are passed over without a count.
  std::uint64_t passed_over = 0;
  std::string first_passed_over;  // the least path of them
};

// Everything below `dir`, links to files and folders followed. Errors as Disk: a folder that cannot be read
// is one.
Result<FolderFiles> list_folder(storage::Disk& disk, const storage::fs::path& dir, int threads);

// The files that a text names, one path a line, relative to the text's own folder, in its order. Empty lines
// are passed over, and so is a carriage return at a line's end. kInvalid: it is no such text, or some of its
// lines name no file; says which the first is and how many there are.
Result<std::vector<ListedFile>> read_list(storage::Disk& disk, const storage::fs::path& list, int threads);

}  // namespace paddock::data
