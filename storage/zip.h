// storage/zip.h – the entries of a zip archive whose members are stored as they are (method 0), as
// torch.save writes them: zip64 or not, any padding between members. The reader takes nothing on trust:
// records inside the file, a local header of the same name for each entry, no name twice among those
// that are wanted, no more bytes in all than the file has, CRC-32 of every wanted entry. Format: PKWARE's APPNOTE. Threads: pure functions and
// values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string_view>

#include "base/result.h"

namespace paddock::storage {

// The CRC-32 of zip and PNG (polynomial 0xEDB88320, reflected).
std::uint32_t crc32(std::span<const std::byte> bytes);

// Names and bytes; both point into the file.
using ZipEntries = std::map<std::string_view, std::span<const std::byte>>;

// An archive in which every CRC-32 is zero was written without them (torch offers that) and is read
// unchecked. kCorrupt: cut short or damaged. kInvalid: a whole archive in a form that is not read here
// (compressed, encrypted or split over several files). Messages name the entry or the byte, not the file.
// `is_wanted`: others are passed over, whatever their form; none: all are wanted.
Result<ZipEntries> parse_zip(std::span<const std::byte> file,
                             const std::function<bool(std::string_view name)>& is_wanted = nullptr);

}  // namespace paddock::storage
