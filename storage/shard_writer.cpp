#include <algorithm>
#include <array>
#include <cstdio>
#include <unordered_set>
#include <utility>

#include "base/check.h"
#include "storage/hash.h"
#include "storage/shard.h"
#include "storage/shard_index.h"
#include "storage/tar.h"

namespace paddock::storage {

namespace {

constexpr std::array<std::byte, kTarEndBytes> kZeros{};

std::string shard_name(std::size_t number, const char* suffix) {
  std::array<char, 32> name{};
  std::snprintf(name.data(), name.size(), "shard-%06zu%s", number, suffix);
  return name.data();
}

bool is_key(std::string_view key) {
  if (key.empty() || key.front() == '/' || key.back() == '/' || key.front() == '-') return false;
  if (key.find("//") != std::string_view::npos) return false;
  return std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '/';
  });
}

bool is_extension(std::string_view extension) {
  return !extension.empty() && std::all_of(extension.begin(), extension.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

// The rules of shard.h; gives the sample's size in a tar.
Result<std::uint64_t> check_sample(std::string_view key, const std::vector<ShardMember>& members) {
  const std::string called = "sample \"" + std::string(key) + "\" ";
  if (!is_key(key))
    return fail(Code::kInvalid, called + "has a key that is not [A-Za-z0-9_-]+ with '/' inside");
  if (members.empty()) return fail(Code::kInvalid, called + "has no member");
  std::uint64_t bytes = 0;
  std::unordered_set<std::string_view> extensions;
  for (const ShardMember& member : members) {
    if (!is_extension(member.extension) || !extensions.insert(member.extension).second)
      return fail(Code::kInvalid,
                  called + "has the extension \"" + member.extension + "\", not a new [a-z0-9_]+");
    if (key.size() + 1 + member.extension.size() > kTarNameBytesMax)
      return fail(Code::kInvalid,
                  called + "has a name longer than " + std::to_string(kTarNameBytesMax) + " bytes");
    if (member.bytes.size() > kTarMemberBytesMax)
      return fail(Code::kInvalid, called + "has a member of 8 GiB or more");
    bytes += kTarBlockBytes + member.bytes.size() + tar_padding(member.bytes.size());
  }
  return bytes;
}

}  // namespace

struct ShardWriter::State {
  Disk* disk = nullptr;
  fs::path dir;
  ShardOptions options;
  std::vector<ShardListing> closed;
  // The shard being written; no file when none is.
  std::unique_ptr<WritableFile> tar;
  Hasher tar_hash;
  std::uint64_t tar_bytes = 0;
  std::uint64_t samples = 0;
  std::string index;
  std::unordered_set<std::string> keys;
  bool is_done = false;  // finished, or failed

  Result<void> append(std::span<const std::byte> bytes) {
    tar_hash.update(bytes);
    tar_bytes += bytes.size();
    return tar->append(bytes);
  }

  Result<void> begin_shard() {
    TRY_ASSIGN(tar, disk->create(dir / shard_name(closed.size(), ".tar")), "beginning a shard");
    tar_hash = Hasher();
    tar_bytes = 0;
    samples = 0;
    index.clear();
    keys.clear();
    return {};
  }

  Result<void> close_shard() {
    TRY(append(kZeros), "closing a shard");
    TRY(tar->sync(), "closing a shard");
    tar.reset();
    const std::string index_name = shard_name(closed.size(), ".jsonl");
    TRY_ASSIGN(const auto file, disk->create(dir / index_name), "closing a shard");
    TRY(file->append(bytes_of(index)), "closing a shard");
    TRY(file->sync(), "closing a shard");
    closed.push_back({.name = shard_name(closed.size(), ".tar"),
                      .bytes = tar_bytes,
                      .hash = tar_hash.hex(),
                      .samples = samples,
                      .index_name = index_name,
                      .index_bytes = index.size(),
                      .index_hash = xxh3_hex(index)});
    return {};
  }

  Result<void> append_sample(std::string_view key, const std::vector<ShardMember>& members) {
    SampleListing listing{.key = std::string(key), .members = {}};
    for (const ShardMember& member : members) {
      const auto header = tar_header(listing.key + "." + member.extension, member.bytes.size());
      TRY(append(std::as_bytes(std::span(header))), "writing a sample");
      listing.members.push_back({member.extension, tar_bytes, member.bytes.size(), xxh3_hex(member.bytes)});
      TRY(append(member.bytes), "writing a sample");
      TRY(append(std::span(kZeros).first(tar_padding(member.bytes.size()))), "writing a sample");
    }
    index += print_sample(listing);
    ++samples;
    return {};
  }

  Result<void> add(std::string_view key, const std::vector<ShardMember>& members) {
    TRY_ASSIGN(const std::uint64_t bytes, check_sample(key, members), "adding a sample");
    if (tar && samples > 0 && tar_bytes + bytes + kTarEndBytes > options.bytes_max)
      TRY(close_shard(), "adding a sample");
    if (!tar) TRY(begin_shard(), "adding a sample");
    if (!keys.emplace(key).second)
      return fail(Code::kInvalid, "sample \"" + std::string(key) + "\" is already in the shard");
    return append_sample(key, members);
  }

  Result<ShardSetInfo> finish() {
    if (tar) TRY(close_shard(), "finishing a shard set");
    TRY(disk->sync_dir(dir), "finishing a shard set");  // every shard's name is durable before the index's
    const std::string text = print_index(closed);
    ShardSetInfo info{.samples = 0, .shards = closed.size(), .bytes = 0, .hash = xxh3_hex(text)};
    for (const ShardListing& shard : closed) {
      info.samples += shard.samples;
      info.bytes += shard.bytes;
    }
    TRY(write_atomically(*disk, dir / kIndexHashName, xxh128sum_line(info.hash, kIndexName)),
        "finishing a shard set");
    TRY(write_atomically(*disk, dir / kIndexName, text), "finishing a shard set");
    return info;
  }
};

ShardWriter::ShardWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
ShardWriter::~ShardWriter() = default;
ShardWriter::ShardWriter(ShardWriter&&) noexcept = default;
ShardWriter& ShardWriter::operator=(ShardWriter&&) noexcept = default;

Result<ShardWriter> ShardWriter::open(Disk& disk, const fs::path& dir, const ShardOptions& options) {
  TRY(make_dirs(disk, dir), "beginning a shard set");
  TRY_ASSIGN(const bool is_finished, disk.exists(dir / kIndexName), "beginning a shard set");
  if (is_finished)
    return fail(Code::kConflict, dir.string() + " already has a finished shard set: read or remove it");
  TRY_ASSIGN(const auto names, disk.list(dir), "beginning a shard set");
  for (const std::string& name : names) {
    if (name.starts_with("shard-") || name.starts_with("index.") || name.starts_with(".index."))
      TRY(disk.remove_all(dir / name), "removing what an unfinished writer left");
  }
  auto state = std::make_unique<State>();
  state->disk = &disk;
  state->dir = dir;
  state->options = options;
  return ShardWriter(std::move(state));
}

Result<void> ShardWriter::add(std::string_view key, const std::vector<ShardMember>& members) {
  if (state_->is_done)
    return fail(Code::kInvalid, "the shard writer of " + state_->dir.string() + " is done or failed");
  auto added = state_->add(key, members);
  // A sample that was refused left no trace; after anything else the tar may end in the middle of one.
  if (!added && added.error().code != Code::kInvalid) state_->is_done = true;
  return added;
}

Result<ShardSetInfo> ShardWriter::finish() {
  if (state_->is_done)
    return fail(Code::kInvalid, "the shard writer of " + state_->dir.string() + " is done or failed");
  state_->is_done = true;
  return state_->finish();
}

}  // namespace paddock::storage
