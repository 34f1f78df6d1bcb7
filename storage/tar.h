// storage/tar.h – the two pieces of a plain ustar archive that we write; every field that could differ from
// machine to machine (owner, time) is zero, so equal contents are equal archives. Source: POSIX.1-2017, pax,
// "ustar Interchange Format". Threads: pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace paddock::storage {

inline constexpr std::size_t kTarBlockBytes = 512;
inline constexpr std::size_t kTarNameBytesMax = 99;                // we do not use the prefix field
inline constexpr std::uint64_t kTarMemberBytesMax = 077777777777;  // eleven octal digits: 8 GiB − 1
inline constexpr std::size_t kTarEndBytes = 2 * kTarBlockBytes;    // an archive ends with two blocks of zeros

// A regular file's header. name.size() <= kTarNameBytesMax, bytes <= kTarMemberBytesMax.
std::array<char, kTarBlockBytes> tar_header(std::string_view name, std::uint64_t bytes);

// Zeros that follow a member of that size, up to a whole block.
constexpr std::size_t tar_padding(std::uint64_t bytes) {
  return static_cast<std::size_t>((kTarBlockBytes - bytes % kTarBlockBytes) % kTarBlockBytes);
}

}  // namespace paddock::storage
