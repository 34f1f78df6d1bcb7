// tests/storage/zip_archive.h – zip archives for tests: what torch.save never writes, and what it writes in
// pieces.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "storage/disk.h"
#include "storage/zip.h"

namespace paddock::storage {

inline std::string little_endian(std::uint64_t number, std::size_t width) {
  std::string bytes;
  for (std::size_t i = 0; i < width; ++i) bytes += static_cast<char>((number >> (8 * i)) & 0xFF);
  return bytes;
}

struct ArchiveEntry {
  std::string name;
  std::string bytes;
};

struct ArchiveForm {
  bool is_wide = false;  // zip64: all sizes, offsets and counts in their 64-bit form
  std::uint64_t method = 0;
  std::uint64_t flags = 0;
  std::uint64_t crc_error = 0;   // added to every checksum
  std::uint64_t size_error = 0;  // added to every size in the directory
  std::string name_in_header{};  // instead of the entry's, in its local header
  std::string comment{};
};

// Stored, whatever `form.method` says.
inline std::string zip_archive(const std::vector<ArchiveEntry>& entries, const ArchiveForm& form = {}) {
  std::string archive;
  std::string directory;
  for (const auto& [name, bytes] : entries) {
    const std::uint64_t offset = archive.size();
    const std::string& local_name = form.name_in_header.empty() ? name : form.name_in_header;
    const std::string padding(offset % 7, 'Z');  // a gap of any length, in an extra field
    const std::string crc = little_endian(crc32(bytes_of(bytes)) + form.crc_error, 4);
    const std::string kind =
        little_endian(form.flags, 2) + little_endian(form.method, 2) + std::string(4, '\0') + crc;
    const std::uint64_t size = bytes.size() + form.size_error;
    archive += std::string("PK\3\4\0\0", 6) + kind + little_endian(size, 4) + little_endian(size, 4) +
               little_endian(local_name.size(), 2) + little_endian(padding.size(), 2) + local_name + padding +
               bytes;
    const std::string extra = little_endian(0x4246, 2) + little_endian(3, 2) + "abc" + little_endian(1, 2) +
                              little_endian(24, 2) + little_endian(size, 8) + little_endian(size, 8) +
                              little_endian(offset, 8);
    directory += std::string("PK\1\2\0\0\0\0", 8) + kind;
    directory += form.is_wide ? std::string(8, '\xFF') : little_endian(size, 4) + little_endian(size, 4);
    directory += little_endian(name.size(), 2) + little_endian(form.is_wide ? extra.size() : 0, 2) +
                 std::string(10, '\0') + (form.is_wide ? std::string(4, '\xFF') : little_endian(offset, 4)) +
                 name + (form.is_wide ? extra : "");
  }
  const std::uint64_t at = archive.size();
  archive += directory;
  const std::string counts = little_endian(entries.size(), 8);
  if (form.is_wide)
    archive += std::string("PK\6\6", 4) + little_endian(44, 8) + std::string(12, '\0') + counts + counts +
               little_endian(directory.size(), 8) + little_endian(at, 8) + std::string("PK\6\7\0\0\0\0", 8) +
               little_endian(at + directory.size(), 8) + little_endian(1, 4);
  const auto narrow = [&](std::uint64_t number, std::size_t width) {
    return form.is_wide ? std::string(width, '\xFF') : little_endian(number, width);
  };
  return archive + std::string("PK\5\6\0\0\0\0", 8) + narrow(entries.size(), 2) + narrow(entries.size(), 2) +
         narrow(directory.size(), 4) + narrow(at, 4) + little_endian(form.comment.size(), 2) + form.comment;
}

}  // namespace paddock::storage
