#include "storage/tar_reader.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "storage/hash.h"
#include "storage/tar.h"

namespace paddock::storage {

namespace {

constexpr std::uint64_t kWindowBytes = 4u << 20;
constexpr std::uint64_t kExtensionBytesMax = 1u << 20;  // of a long name or a pax header

// A tar's bytes from front to back, read in large pieces.
class Window {
 public:
  explicit Window(const ReadableFile& file) : file_(file) {}

  std::uint64_t size() const { return file_.size(); }
  // The bytes from `offset`: `wanted` when these are few, else some of them, at least one. All lie in the
  // file.
  Result<std::span<const std::byte>> at(std::uint64_t offset, std::uint64_t wanted) {
    const std::uint64_t needed = std::min<std::uint64_t>(wanted, kTarBlockBytes);
    if (offset < begin_ || offset + needed > begin_ + filled_) {
      if (bytes_.size() == 0) bytes_ = Bytes(std::min(size(), kWindowBytes));
      begin_ = offset;
      filled_ = 0;
      const std::uint64_t piece = std::min<std::uint64_t>(bytes_.size(), size() - offset);
      TRY(file_.read_at(offset, bytes_.writable().first(piece)), "reading a tar");
      filled_ = piece;
    }
    const std::uint64_t from = offset - begin_;
    return bytes_.view().subspan(from, std::min(wanted, filled_ - from));
  }

 private:
  const ReadableFile& file_;
  Bytes bytes_;
  std::uint64_t begin_ = 0, filled_ = 0;
};

struct Header {
  char type = '0';
  std::string name, link;
  std::uint64_t bytes = 0;
};

// What pax and GNU headers say of the member that follows them.
struct Extension {
  std::optional<std::string> name, link;
  std::optional<std::uint64_t> bytes;
  bool is_sparse = false;
};

// A field up to its first NUL.
std::string_view text_field(std::string_view block, std::size_t offset, std::size_t size) {
  const std::string_view field = block.substr(offset, size);
  return field.substr(0, field.find('\0'));
}

// Octal digits with blanks around them, or GNU's big-endian form for what does not fit.
std::optional<std::uint64_t> number_field(std::string_view block, std::size_t offset, std::size_t size) {
  std::string_view field = block.substr(offset, size);
  std::uint64_t value = 0;
  if (static_cast<unsigned char>(field.front()) >= 0x80) {
    if (field.front() != '\x80') return std::nullopt;  // negative, or beyond 64 bits
    for (const char byte : field.substr(1)) {
      if (value >> 56 != 0) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(byte);
    }
    return value;
  }
  field = field.substr(0, field.find('\0'));
  field.remove_prefix(std::min(field.find_first_not_of(' '), field.size()));
  field = field.substr(0, field.find(' '));
  if (field.empty()) return 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value, 8);
  if (error != std::errc() || end != field.data() + field.size()) return std::nullopt;
  return value;
}

// Some old writers summed signed characters.
bool has_right_checksum(std::string_view block) {
  constexpr std::size_t kOffset = 148, kSize = 8;
  std::int64_t sum = 0, signed_sum = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const char byte = i >= kOffset && i < kOffset + kSize ? ' ' : block[i];
    sum += static_cast<unsigned char>(byte);
    signed_sum += static_cast<signed char>(byte);
  }
  const auto stored = number_field(block, kOffset, kSize);
  return stored &&
         (static_cast<std::int64_t>(*stored) == sum || static_cast<std::int64_t>(*stored) == signed_sum);
}

std::optional<Header> parse_header(std::string_view block) {
  constexpr std::string_view kUstar("ustar\0", 6);  // GNU's is "ustar ", and its prefix is something else
  const auto bytes = number_field(block, 124, 12);
  if (!has_right_checksum(block) || !bytes) return std::nullopt;
  Header header{.type = block[156],
                .name = std::string(text_field(block, 0, 100)),
                .link = std::string(text_field(block, 157, 100)),
                .bytes = *bytes};
  if (block.substr(257, kUstar.size()) == kUstar) {
    const std::string_view prefix = text_field(block, 345, 155);
    if (!prefix.empty()) header.name = std::string(prefix) + "/" + header.name;
  }
  if (header.type == '\0' || header.type == '7') header.type = '0';
  if (header.type == '0' && header.name.ends_with('/')) header.type = '5';  // v7's folders
  return header;
}

std::string without_dot(std::string name) {
  while (name.starts_with("./")) name.erase(0, 2);
  return name;
}

// "LENGTH KEY=VALUE\n" after one another; LENGTH counts the whole record. False: it is not that.
bool parse_pax(std::string_view records, Extension& extension) {
  while (!records.empty() && records.front() != '\0') {
    std::size_t length = 0;
    const auto [end, error] = std::from_chars(records.data(), records.data() + records.size(), length);
    const auto digits = static_cast<std::size_t>(end - records.data());
    if (error != std::errc() || length > records.size() || length < digits + 3) return false;
    std::string_view record = records.substr(0, length);
    records.remove_prefix(length);
    if (record[digits] != ' ' || record.back() != '\n') return false;
    record = record.substr(digits + 1, record.size() - digits - 2);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
    if (key == "path") extension.name = std::string(value.substr(0, value.find('\0')));
    if (key == "linkpath") extension.link = std::string(value.substr(0, value.find('\0')));
    if (key.starts_with("GNU.sparse.")) extension.is_sparse = true;
    if (key != "size") continue;
    std::uint64_t bytes = 0;
    const auto number = std::from_chars(value.data(), value.data() + value.size(), bytes);
    if (number.ec != std::errc() || number.ptr != value.data() + value.size()) return false;
    extension.bytes = bytes;
  }
  return true;
}

class Reader {
 public:
  explicit Reader(const ReadableFile& file) : window_(file) {}

  Result<TarContents> read() {
    while (at_ < window_.size() && !is_cut_off_) {
      if (auto entry = read_entry(); !entry) return tl::unexpected(entry.error());
    }
    return std::move(contents_);
  }

 private:
  Result<void> read_entry() {
    if (window_.size() - at_ < kTarBlockBytes) return read_short_end();
    TRY_ASSIGN(const auto bytes, window_.at(at_, kTarBlockBytes), "a header");
    const std::string_view block = text_of(bytes);
    // The end of an archive; another may follow, and padding does.
    if (block.find_first_not_of('\0') == std::string_view::npos) {
      at_ += kTarBlockBytes;
      return {};
    }
    auto header = parse_header(block);
    if (!header) return no_header(block);
    at_ += kTarBlockBytes;
    switch (header->type) {
      case 'L':
      case 'K':
      case 'x':
        return read_extension(*header);
      case '0':
        return read_file(*std::move(header));
      case '1':
      case '2':
        return read_link(*std::move(header));
      case 'S':
        return fail(Code::kInvalid, "it holds sparse files (" + header->name + "): pack it without --sparse");
      default:
        return pass_over(*std::move(header));
    }
  }

  // Less than a header is left: padding, or the tar was cut off there.
  Result<void> read_short_end() {
    TRY_ASSIGN(const auto rest, window_.at(at_, window_.size() - at_), "its end");
    if (text_of(rest).find_first_not_of('\0') != std::string_view::npos) cut_off("a header that is cut off");
    at_ = window_.size();
    return {};
  }

  tl::unexpected<Error> no_header(std::string_view block) const {
    struct Magic {
      std::string_view bytes;
      const char* name;
    };
    constexpr std::array<Magic, 4> kCompressed{{{"\x1f\x8b", "gzip"},
                                                {"BZh", "bzip2"},
                                                {"\xfd"
                                                 "7zXZ",
                                                 "xz"},
                                                {"\x28\xb5\x2f\xfd", "zstd"}}};
    for (const Magic& magic : kCompressed)
      if (at_ == 0 && block.starts_with(magic.bytes))
        return fail(Code::kInvalid, std::string("it is compressed with ") + magic.name +
                                        ": unpack it to a plain tar, which can be read from anywhere");
    return fail(Code::kCorrupt, "at byte " + std::to_string(at_) +
                                    " there is no tar header: it is damaged, or no tar at all");
  }

  Result<void> read_extension(const Header& header) {
    if (header.bytes > kExtensionBytesMax)
      return fail(Code::kCorrupt, "at byte " + std::to_string(at_) + " it has a name of more than 1 MiB");
    if (!has_body(header.bytes)) return {};
    std::string body;
    while (body.size() < header.bytes) {
      TRY_ASSIGN(const auto piece, window_.at(at_ + body.size(), header.bytes - body.size()), "a long name");
      body += text_of(piece);
    }
    step_over(header.bytes);
    if (header.type == 'L') extension_.name = body.substr(0, body.find('\0'));
    if (header.type == 'K') extension_.link = body.substr(0, body.find('\0'));
    if (header.type == 'x' && !parse_pax(body, extension_))
      return fail(Code::kCorrupt, "before byte " + std::to_string(at_) + " there is a damaged pax header");
    return {};
  }

  Result<void> read_file(Header header) {
    apply_extension(header);
    if (is_sparse_)
      return fail(Code::kInvalid, "it holds sparse files (" + header.name + "): pack it without --sparse");
    TarMember member{.name = without_dot(header.name), .offset = at_, .bytes = header.bytes, .hash = {}};
    if (header.bytes > window_.size() - at_) {
      is_cut_off_ = true;
      return add(std::move(member));
    }
    Hasher hasher;
    for (std::uint64_t done = 0; done < member.bytes;) {
      TRY_ASSIGN(const auto piece, window_.at(at_ + done, member.bytes - done), member.name);
      hasher.update(piece);
      done += piece.size();
    }
    member.hash = hasher.hex();
    step_over(member.bytes);
    return add(std::move(member));
  }

  Result<void> add(TarMember member) {
    if (member.name.empty() || member.name.find('\n') != std::string::npos) {
      other("a name with a line break in it, or none");
      return {};
    }
    by_name_[member.name] = contents_.members.size();
    contents_.members.push_back(std::move(member));
    return {};
  }

  // A hard link is another name of a member before it. Links have no bytes, whatever their size says.
  Result<void> read_link(Header header) {
    apply_extension(header);
    const auto target = by_name_.find(without_dot(header.link));
    if (header.type == '2' || target == by_name_.end()) {
      other(header.name);
      return {};
    }
    TarMember member = contents_.members[target->second];
    member.name = without_dot(header.name);
    return add(std::move(member));
  }

  // Folders, devices, global headers, and what we do not know: over its bytes.
  Result<void> pass_over(Header header) {
    const bool is_silent = header.type == '5' || header.type == 'g' || header.type == 'V';
    if (header.type != 'g') apply_extension(header);
    const bool has_bytes = header.type < '3' || header.type > '6';
    if (!is_silent) other(header.name);
    if (has_bytes && has_body(header.bytes)) step_over(header.bytes);
    return {};
  }

  void apply_extension(Header& header) {
    if (extension_.name) header.name = *std::move(extension_.name);
    if (extension_.link) header.link = *std::move(extension_.link);
    if (extension_.bytes) header.bytes = *extension_.bytes;
    is_sparse_ = extension_.is_sparse;
    extension_ = {};
  }

  bool has_body(std::uint64_t bytes) {
    if (bytes <= window_.size() - at_) return true;
    cut_off("a header's bytes that are cut off");
    return false;
  }
  void step_over(std::uint64_t bytes) { at_ = std::min(window_.size(), at_ + bytes + tar_padding(bytes)); }
  void cut_off(const std::string& name) {
    is_cut_off_ = true;
    other(name);
  }
  void other(const std::string& name) {
    if (contents_.others++ == 0) contents_.first_other = name;
  }

  Window window_;
  TarContents contents_;
  std::unordered_map<std::string, std::size_t> by_name_;
  Extension extension_;
  bool is_sparse_ = false;
  bool is_cut_off_ = false;
  std::uint64_t at_ = 0;  // the next byte nobody has read
};

}  // namespace

Result<TarContents> read_tar(const ReadableFile& file) {
  return Reader(file).read();
}

}  // namespace paddock::storage
