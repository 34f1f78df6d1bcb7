#include "storage/tar_index.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "storage/hash.h"

namespace paddock::storage {

namespace {

constexpr std::string_view kMagic = "paddock-tar-index ";
constexpr std::uint64_t kTarIndexFormat = 1;
constexpr std::string_view kNoHash = "-";

std::string on_one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', '?');
  return text;
}

// Takes fields off the front of a text; after the first that is not there, all are missing.
class Fields {
 public:
  explicit Fields(std::string_view text) : rest_(text) {}

  // Up to `end`, which is taken as well.
  std::string_view text(char end) {
    const std::size_t at = rest_.find(end);
    if (at == std::string_view::npos) {
      is_whole_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view field = rest_.substr(0, at);
    rest_.remove_prefix(at + 1);
    return field;
  }
  template <typename Number>
  Number number(char end) {
    const std::string_view field = text(end);
    Number value = 0;
    const auto [stop, error] = std::from_chars(field.data(), field.data() + field.size(), value);
    is_whole_ = is_whole_ && error == std::errc() && stop == field.data() + field.size();
    return value;
  }
  void require(bool holds) { is_whole_ = is_whole_ && holds; }
  bool is_whole() const { return is_whole_; }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
  bool is_whole_ = true;
};

tl::unexpected<Error> damaged(const char* what) {
  return fail(Code::kCorrupt, std::string("the tar index is damaged: ") + what);
}

// Nothing: there is none, or it is damaged or of another tar than that one is now. It can be made again.
std::optional<TarIndex> good_index(Disk& disk, const fs::path& path, const FileFacts& tar) {
  const auto text = read_file(disk, path, kTarIndexBytesMax);
  if (!text) return std::nullopt;
  auto index = parse_tar_index(text->text());
  if (!index || index->bytes != tar.bytes || index->modified_ns != tar.modified_ns) return std::nullopt;
  return *std::move(index);
}

Result<TarIndex> make_index(Disk& disk, const fs::path& tar, const FileFacts& facts) {
  TRY_ASSIGN(const auto file, disk.open(tar), "indexing");
  TRY_ASSIGN(TarContents contents, read_tar(*file), tar.string());
  TRY_ASSIGN(const FileFacts after, disk.look(tar), "indexing");
  if (file->size() != facts.bytes || after.bytes != facts.bytes || file->modified_ns() != facts.modified_ns ||
      after.modified_ns != facts.modified_ns)
    return fail(Code::kConflict,
                tar.string() + " was changed while it was read: begin again when it is whole");
  return TarIndex{facts.bytes, facts.modified_ns, std::move(contents)};
}

}  // namespace

std::string print_tar_index(const TarIndex& index) {
  const TarContents& contents = index.contents;
  std::string body = "tar " + std::to_string(index.bytes) + " " + std::to_string(index.modified_ns) + "\n";
  body += "others " + std::to_string(contents.others) + " " + on_one_line(contents.first_other) + "\n";
  for (const TarMember& member : contents.members) {
    body += std::to_string(member.offset) + " " + std::to_string(member.bytes) + " ";
    body += member.hash.empty() ? std::string(kNoHash) : member.hash;
    body += " " + member.name + "\n";
  }
  return std::string(kMagic) + std::to_string(kTarIndexFormat) + " " + xxh3_hex(body) + "\n" + body;
}

Result<TarIndex> parse_tar_index(std::string_view text) {
  if (!text.starts_with(kMagic)) return damaged("it begins otherwise");
  Fields fields(text.substr(kMagic.size()));
  const auto format = fields.number<std::uint64_t>(' ');
  if (fields.is_whole() && format > kTarIndexFormat)
    return fail(Code::kInvalid, "the tar index is of a newer format");
  const std::string_view hash = fields.text('\n');
  fields.require(format == kTarIndexFormat);
  if (!fields.is_whole() || xxh3_hex(fields.rest()) != hash) return damaged("its hash is another");
  TarIndex index;
  fields.require(fields.text(' ') == "tar");
  index.bytes = fields.number<std::uint64_t>(' ');
  index.modified_ns = fields.number<std::int64_t>('\n');
  fields.require(fields.text(' ') == "others");
  index.contents.others = fields.number<std::uint64_t>(' ');
  index.contents.first_other = fields.text('\n');
  while (fields.is_whole() && !fields.rest().empty()) {
    TarMember member;
    member.offset = fields.number<std::uint64_t>(' ');
    member.bytes = fields.number<std::uint64_t>(' ');
    const std::string_view member_hash = fields.text(' ');
    if (member_hash != kNoHash) {
      member.hash = member_hash;
      fields.require(is_xxh3_hex(member_hash));
      fields.require(member.offset <= index.bytes && member.bytes <= index.bytes - member.offset);
    }
    member.name = fields.text('\n');
    fields.require(!member.name.empty());
    index.contents.members.push_back(std::move(member));
  }
  if (!fields.is_whole()) return damaged("a line is not as it must be");
  return index;
}

Result<TarIndex> open_tar_index(Disk& disk, const fs::path& tar, const fs::path& spare) {
  const fs::path beside = tar.string() + kTarIndexSuffix;
  TRY_ASSIGN(const FileFacts facts, disk.look(tar), "indexing");
  for (const fs::path& path : {beside, spare}) {
    if (path.empty()) continue;
    if (auto index = good_index(disk, path, facts)) return *std::move(index);
  }
  auto index = make_index(disk, tar, facts);
  if (!index) return index;
  const std::string text = print_tar_index(*index);
  const auto written = write_atomically(disk, beside, text);
  if (written) return index;
  if (spare.empty()) return tl::unexpected(written.error().within("keeping the index of " + tar.string()));
  TRY(make_dirs(disk, spare.parent_path()), "keeping the index of " + tar.string());
  TRY(write_atomically(disk, spare, text), "keeping the index of " + tar.string());
  return index;
}

bool seems_indexed(Disk& disk, const fs::path& tar, const fs::path& spare) {
  constexpr std::uint64_t kBeginningBytes = 256;  // both of the lines that are looked at
  const auto facts = disk.look(tar);
  for (const fs::path& path : {fs::path(tar.string() + kTarIndexSuffix), spare}) {
    if (!facts || path.empty()) continue;
    const auto file = disk.open(path);
    if (!file) continue;
    Bytes bytes(std::min((*file)->size(), kBeginningBytes));
    if (!(*file)->read_at(0, bytes.writable())) continue;
    const std::string_view text = bytes.text();
    const std::string line =
        "\ntar " + std::to_string(facts->bytes) + " " + std::to_string(facts->modified_ns) + "\n";
    const std::size_t second = text.find('\n');
    if (text.starts_with(kMagic) && second != text.npos && text.substr(second).starts_with(line)) return true;
  }
  return false;
}

}  // namespace paddock::storage
