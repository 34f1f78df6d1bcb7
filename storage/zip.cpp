#include "storage/zip.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "storage/disk.h"

namespace paddock::storage {

namespace {

// Records and their fixed sizes; numbers are little-endian.
constexpr std::string_view kLocalHeader("PK\3\4", 4);
constexpr std::string_view kDirectoryHeader("PK\1\2", 4);
constexpr std::string_view kEnd("PK\5\6", 4);
constexpr std::string_view kWideEnd("PK\6\6", 4);
constexpr std::string_view kWideEndLocator("PK\6\7", 4);
constexpr std::size_t kLocalHeaderBytes = 30;
constexpr std::size_t kDirectoryHeaderBytes = 46;
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kWideEndBytes = 56;
constexpr std::size_t kWideEndLocatorBytes = 20;
constexpr std::size_t kCommentBytesMax = 0xFFFF;
constexpr std::uint64_t kSeeExtraField = 0xFFFFFFFF;  // the 64-bit number stands in the zip64 extra field
constexpr std::uint64_t kWideExtraField = 1;          // the id of that field

using CrcTables = std::array<std::array<std::uint32_t, 256>, 8>;

// Table k gives what a byte does to the remainder k bytes later, so that eight bytes are taken at a time.
constexpr CrcTables crc_tables() {
  CrcTables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t remainder = byte;
    for (int bit = 0; bit < 8; ++bit)
      remainder = (remainder >> 1) ^ ((remainder & 1) != 0 ? 0xEDB88320u : 0u);
    tables[0][byte] = remainder;
  }
  for (std::size_t later = 1; later < 8; ++later)
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = tables[later - 1][byte];
      tables[later][byte] = (before >> 8) ^ tables[0][before & 0xFF];
    }
  return tables;
}

constexpr CrcTables kCrcTables = crc_tables();

// The caller has checked that the bytes are there.
std::uint64_t number_at(std::string_view bytes, std::uint64_t at, std::size_t width) {
  std::uint64_t number = 0;
  for (std::size_t i = width; i-- > 0;) number = (number << 8) | static_cast<unsigned char>(bytes[at + i]);
  return number;
}

// Whether `bytes` bytes from `at` lie in the file and begin with `signature`.
bool has_record(std::string_view file, std::uint64_t at, std::size_t bytes, std::string_view signature) {
  return at <= file.size() && file.size() - at >= bytes && file.substr(at, 4) == signature;
}

struct Directory {
  std::uint64_t entries = 0;
  std::uint64_t offset = 0;
};

Result<Directory> find_directory(std::string_view file) {
  // The end record is followed by nothing but its own comment.
  std::size_t end = file.size();
  for (std::size_t comment = 0; comment <= kCommentBytesMax && comment + kEndBytes <= file.size();
       ++comment) {
    const std::size_t at = file.size() - kEndBytes - comment;
    if (has_record(file, at, kEndBytes, kEnd) && number_at(file, at + 20, 2) == comment) {
      end = at;
      break;
    }
  }
  if (end == file.size())
    return fail(Code::kCorrupt, "the archive has no end record: the file is cut short or no zip archive");
  Directory directory{number_at(file, end + 10, 2), number_at(file, end + 16, 4)};
  std::uint64_t parts = number_at(file, end + 4, 2);
  if (end >= kWideEndLocatorBytes &&
      has_record(file, end - kWideEndLocatorBytes, kWideEndLocatorBytes, kWideEndLocator)) {
    const std::uint64_t wide = number_at(file, end - kWideEndLocatorBytes + 8, 8);
    if (!has_record(file, wide, kWideEndBytes, kWideEnd))
      return fail(Code::kCorrupt, "the archive's zip64 end record is not at byte " + std::to_string(wide) +
                                      ", where its locator says");
    directory = {number_at(file, wide + 32, 8), number_at(file, wide + 48, 8)};
    parts = number_at(file, wide + 16, 4);
  }
  if (parts != 0)
    return fail(Code::kInvalid, "the archive is split over several files: join them with `zip -s 0`");
  return directory;
}

struct Header {
  std::string_view name;
  std::uint64_t crc = 0;
  std::uint64_t bytes = 0;
  std::uint64_t stored_bytes = 0;
  std::uint64_t local_header = 0;
  std::uint64_t flags = 0, method = 0;
};

// Whether the entry's bytes can be taken as they lie.
Result<void> check_form(const Header& header) {
  const std::string called = "entry \"" + std::string(header.name) + "\" ";
  if ((header.flags & 1) != 0)
    return fail(Code::kInvalid, called + "is encrypted: decrypt the archive first");
  if (header.method != 0)
    return fail(Code::kInvalid,
                called +
                    "is compressed, which torch.save never does: unpack the archive and pack it "
                    "with `zip -0`, or save it again with torch.save");
  if (header.bytes != header.stored_bytes)
    return fail(Code::kCorrupt, called + "is stored as it is, yet with two different sizes");
  return {};
}

// Replaces what did not fit 32 bits by its 64-bit form; nothing to replace is fine too.
bool widen(Header& header, std::string_view extra) {
  std::vector<std::uint64_t*> missing;
  for (std::uint64_t* number : {&header.bytes, &header.stored_bytes, &header.local_header})
    if (*number == kSeeExtraField) missing.push_back(number);
  while (!missing.empty() && extra.size() >= 4) {
    const std::uint64_t id = number_at(extra, 0, 2);
    const std::uint64_t bytes = number_at(extra, 2, 2);
    extra.remove_prefix(4);
    if (extra.size() < bytes) return false;
    if (id == kWideExtraField) {
      if (bytes < 8 * missing.size()) return false;
      for (std::size_t i = 0; i < missing.size(); ++i) *missing[i] = number_at(extra, 8 * i, 8);
      return true;
    }
    extra.remove_prefix(bytes);
  }
  return missing.empty();
}

// The directory's header at `at`, which moves behind it.
Result<Header> read_header(std::string_view file, std::uint64_t& at) {
  const std::string where = " at byte " + std::to_string(at);
  if (!has_record(file, at, kDirectoryHeaderBytes, kDirectoryHeader))
    return fail(Code::kCorrupt, "the archive's directory has no entry" + where);
  const std::uint64_t name_bytes = number_at(file, at + 28, 2);
  const std::uint64_t extra_bytes = number_at(file, at + 30, 2);
  const std::uint64_t comment_bytes = number_at(file, at + 32, 2);
  Header header{.name = {},
                .crc = number_at(file, at + 16, 4),
                .bytes = number_at(file, at + 24, 4),
                .stored_bytes = number_at(file, at + 20, 4),
                .local_header = number_at(file, at + 42, 4),
                .flags = number_at(file, at + 8, 2),
                .method = number_at(file, at + 10, 2)};
  at += kDirectoryHeaderBytes;
  if (file.size() - at < name_bytes + extra_bytes + comment_bytes)
    return fail(Code::kCorrupt, "the archive's directory entry" + where + " goes beyond the file");
  header.name = file.substr(at, name_bytes);
  const std::string called = "entry \"" + std::string(header.name) + "\" ";
  if (!widen(header, file.substr(at + name_bytes, extra_bytes)))
    return fail(Code::kCorrupt, called + "has a damaged zip64 field");
  at += name_bytes + extra_bytes + comment_bytes;
  return header;
}

Result<std::span<const std::byte>> bytes_of_entry(std::string_view file, const Header& header) {
  const std::string called = "entry \"" + std::string(header.name) + "\" ";
  if (!has_record(file, header.local_header, kLocalHeaderBytes, kLocalHeader))
    return fail(Code::kCorrupt, called + "has no header at byte " + std::to_string(header.local_header));
  const std::uint64_t name_bytes = number_at(file, header.local_header + 26, 2);
  const std::uint64_t extra_bytes = number_at(file, header.local_header + 28, 2);
  const std::uint64_t name_at = header.local_header + kLocalHeaderBytes;
  if (file.size() - name_at < name_bytes + extra_bytes ||
      file.size() - name_at - name_bytes - extra_bytes < header.bytes)
    return fail(Code::kCorrupt, called + "goes beyond the file");
  if (file.substr(name_at, name_bytes) != header.name)
    return fail(Code::kCorrupt,
                called + "has another name in its header at byte " + std::to_string(header.local_header));
  return bytes_of(file.substr(name_at + name_bytes + extra_bytes, header.bytes));
}

}  // namespace

std::uint32_t crc32(std::span<const std::byte> bytes) {
  std::uint32_t remainder = ~0u;
  while (bytes.size() >= 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data(), sizeof word);
    word ^= remainder;
    remainder = 0;
    for (std::size_t i = 0; i < 8; ++i) remainder ^= kCrcTables[7 - i][(word >> (8 * i)) & 0xFF];
    bytes = bytes.subspan(8);
  }
  for (const std::byte byte : bytes)
    remainder = kCrcTables[0][(remainder ^ std::to_integer<std::uint32_t>(byte)) & 0xFF] ^ (remainder >> 8);
  return ~remainder;
}

Result<ZipEntries> parse_zip(std::span<const std::byte> file,
                             const std::function<bool(std::string_view name)>& is_wanted) {
  const std::string_view text = text_of(file);
  TRY_ASSIGN(const Directory directory, find_directory(text), "finding its directory");
  std::uint64_t at = directory.offset;
  std::uint64_t bytes_left = file.size();
  ZipEntries entries;
  std::vector<Header> headers;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    TRY_ASSIGN(const Header header, read_header(text, at), "reading its directory");
    if (is_wanted && !is_wanted(header.name)) continue;
    TRY(check_form(header), "reading its directory");
    TRY_ASSIGN(const auto bytes, bytes_of_entry(text, header), "reading its entries");
    const std::string called = "entry \"" + std::string(header.name) + "\" ";
    if (!entries.emplace(header.name, bytes).second) return fail(Code::kCorrupt, called + "is there twice");
    if (header.bytes > bytes_left)
      return fail(Code::kCorrupt,
                  called + "overlaps another: the entries claim more bytes than the file has");
    bytes_left -= header.bytes;
    headers.push_back(header);
  }
  const bool has_checksums =
      std::any_of(headers.begin(), headers.end(), [](const Header& header) { return header.crc != 0; });
  for (const Header& header : headers)
    if (has_checksums && crc32(entries.at(header.name)) != header.crc)
      return fail(Code::kCorrupt,
                  "entry \"" + std::string(header.name) + "\" is damaged: its CRC-32 differs");
  return entries;
}

}  // namespace paddock::storage
