// storage/tar_reader.h – what any tar file holds, whoever wrote it: v7, ustar, pax, GNU (long names, large
// sizes), also several archives one after the other. Read once from front to back, with the hash of every
// member.
// Sources: POSIX.1-2017, pax, "pax Interchange Format" and "ustar Interchange Format"; the GNU tar manual,
// "Basic Tar Format". Threads: a pure function of the file. Trusts nothing that it reads.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/disk.h"

namespace paddock::storage {

struct TarMember {
  std::string name;          // as stored, without "./" in front
  std::uint64_t offset = 0;  // of its bytes in the tar
  std::uint64_t bytes = 0;
  std::string hash;  // XXH3-128 of its bytes; empty: the tar ends before they do
};

struct TarContents {
  std::vector<TarMember> members;  // regular files in the order of the tar, and hard links to one of them
  // What is no file and no folder: symbolic links, devices, hard links to nothing, names with a line break, a
  // header that is cut off.
  std::uint64_t others = 0;
  std::string first_other;
};

// kInvalid: compressed, or with sparse files, which we do not read. kCorrupt: no header where one must be;
// names the byte. A tar that is cut off in the middle of a member has that member without a hash, as its
// last.
Result<TarContents> read_tar(const ReadableFile& file);

}  // namespace paddock::storage
