#include "storage/tar.h"

#include <cstring>

#include "base/check.h"

namespace paddock::storage {

namespace {

struct Field {
  std::size_t offset;
  std::size_t size;
};
constexpr Field kMode{100, 8}, kOwner{108, 8}, kGroup{116, 8}, kSize{124, 12}, kTime{136, 12},
    kChecksum{148, 8};
constexpr Field kDeviceMajor{329, 8}, kDeviceMinor{337, 8};
constexpr std::size_t kTypeOffset = 156;
constexpr std::size_t kMagicOffset = 257;

// Octal digits that fill the field but for its last byte, which stays NUL.
void put_octal(std::array<char, kTarBlockBytes>& header, Field field, std::uint64_t value) {
  for (std::size_t i = field.size - 1; i-- > 0; value >>= 3)
    header[field.offset + i] = static_cast<char>('0' + (value & 7));
}

}  // namespace

std::array<char, kTarBlockBytes> tar_header(std::string_view name, std::uint64_t bytes) {
  PADDOCK_REQUIRE(!name.empty() && name.size() <= kTarNameBytesMax && bytes <= kTarMemberBytesMax, name,
                  bytes);
  std::array<char, kTarBlockBytes> header{};
  std::memcpy(header.data(), name.data(), name.size());
  put_octal(header, kMode, 0644);
  for (const Field field : {kOwner, kGroup, kTime, kDeviceMajor, kDeviceMinor}) put_octal(header, field, 0);
  put_octal(header, kSize, bytes);
  header[kTypeOffset] = '0';
  std::memcpy(header.data() + kMagicOffset, "ustar\00000", 8);
  // The checksum counts its own field as spaces and is written as six digits, NUL, space.
  std::memset(header.data() + kChecksum.offset, ' ', kChecksum.size);
  std::uint64_t sum = 0;
  for (const char byte : header) sum += static_cast<unsigned char>(byte);
  put_octal(header, {kChecksum.offset, kChecksum.size - 1}, sum);
  header[kChecksum.offset + 6] = '\0';
  return header;
}

}  // namespace paddock::storage
