#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/guarded.h"
#include "storage/hash.h"
#include "storage/shard.h"
#include "storage/shard_index.h"

namespace paddock::storage {

namespace {

constexpr std::size_t kOpenShardsMax = 64;  // file descriptors are few, shards may be thousands

using OpenShard = std::shared_ptr<const ReadableFile>;

Error corrupt(const fs::path& path, const std::string& what) {
  return Error{Code::kCorrupt, path.string() + ": " + what};
}

// A file that the index names must be there, with the size it names.
Result<OpenShard> open_listed(Disk& disk, const fs::path& path, std::uint64_t bytes) {
  auto file = disk.open(path);
  if (!file && file.error().code == Code::kNotFound)
    return tl::unexpected(corrupt(path, "the file is missing"));
  if (!file) return tl::unexpected(file.error());
  if ((*file)->size() != bytes)
    return tl::unexpected(corrupt(
        path, "it has " + std::to_string((*file)->size()) + " bytes instead of " + std::to_string(bytes)));
  return OpenShard(*std::move(file));
}

}  // namespace

struct ShardSet::State {
  struct Entry {
    SampleListing listing;
    std::size_t shard = 0;
  };
  Disk* disk = nullptr;
  fs::path dir;
  std::string hash;
  std::vector<ShardListing> shards;
  std::vector<Entry> samples;
  mutable Guarded<std::map<std::size_t, OpenShard>> open_shards;

  // One shard's samples, from its index file.
  Result<void> load(std::size_t number) {
    const ShardListing& shard = shards[number];
    TRY(open_listed(*disk, dir / shard.name, shard.bytes), "opening a shard set");
    const fs::path path = dir / shard.index_name;
    TRY_ASSIGN(const OpenShard file, open_listed(*disk, path, shard.index_bytes), "opening a shard set");
    Bytes bytes(file->size());
    TRY(file->read_at(0, bytes.writable()), "opening a shard set");
    if (xxh3_hex(bytes.view()) != shard.index_hash)
      return tl::unexpected(corrupt(path, "it does not have the recorded hash"));
    const std::size_t before = samples.size();
    for (std::string_view rest = bytes.text(); !rest.empty();) {
      const std::size_t end = std::min(rest.find('\n'), rest.size() - 1);
      TRY_ASSIGN(auto listing, parse_sample(rest.substr(0, end)), path.string());
      for (const MemberListing& member : listing.members)
        if (member.offset > shard.bytes || member.bytes > shard.bytes - member.offset)
          return tl::unexpected(corrupt(path, "sample \"" + listing.key + "\" lies outside its shard"));
      samples.push_back({std::move(listing), number});
      rest.remove_prefix(end + 1);
    }
    if (samples.size() - before != shard.samples)
      return tl::unexpected(corrupt(path, "it lists " + std::to_string(samples.size() - before) +
                                              " samples instead of " + std::to_string(shard.samples)));
    return {};
  }

  Result<OpenShard> file(std::size_t number) const {
    OpenShard known = open_shards.with([&](auto& open) -> OpenShard {
      const auto found = open.find(number);
      return found == open.end() ? nullptr : found->second;
    });
    if (known) return known;
    TRY_ASSIGN(const OpenShard opened, open_listed(*disk, dir / shards[number].name, shards[number].bytes),
               "reading");
    open_shards.with([&](auto& open) {
      // Readers that hold one keep it open; beginning anew is simpler than ageing and as good for a shuffled
      // order.
      if (open.size() >= kOpenShardsMax) open.clear();
      open[number] = opened;
    });
    return opened;
  }
};

ShardSet::ShardSet(std::unique_ptr<State> state) : state_(std::move(state)) {}
ShardSet::~ShardSet() = default;
ShardSet::ShardSet(ShardSet&&) noexcept = default;
ShardSet& ShardSet::operator=(ShardSet&&) noexcept = default;

Result<ShardSet> ShardSet::open(Disk& disk, const fs::path& dir) {
  const auto text = read_file(disk, dir / kIndexName, kIndexBytesMax);
  if (!text && text.error().code == Code::kNotFound)
    return fail(Code::kNotFound, dir.string() + " is not a finished shard set: it has no " + kIndexName);
  if (!text) return tl::unexpected(text.error());
  auto state = std::make_unique<State>();
  state->disk = &disk;
  state->dir = dir;
  state->hash = xxh3_hex(text->view());
  const auto line = read_file(disk, dir / kIndexHashName, kIndexBytesMax);
  if (!line && line.error().code != Code::kNotFound) return tl::unexpected(line.error());
  if (!line || line->text() != xxh128sum_line(state->hash, kIndexName))
    return tl::unexpected(
        corrupt(dir / kIndexName, std::string("it does not have the hash in ") + kIndexHashName));
  TRY_ASSIGN(state->shards, parse_index(text->text()), (dir / kIndexName).string());
  for (std::size_t number = 0; number < state->shards.size(); ++number) {
    TRY(state->load(number), dir.string());
  }
  return ShardSet(std::move(state));
}

std::uint64_t ShardSet::size() const {
  return state_->samples.size();
}

const std::string& ShardSet::hash() const {
  return state_->hash;
}

std::string_view ShardSet::key(std::uint64_t i) const {
  PADDOCK_REQUIRE(i < size(), i, size());
  return state_->samples[i].listing.key;
}

Result<Sample> ShardSet::read(std::uint64_t i) const {
  PADDOCK_REQUIRE(i < size(), i, size());
  const State::Entry& entry = state_->samples[i];
  TRY_ASSIGN(const OpenShard file, state_->file(entry.shard), "reading sample " + entry.listing.key);
  Sample sample{.key = entry.listing.key, .members = {}};
  for (const MemberListing& member : entry.listing.members) {
    std::vector<std::byte> bytes(member.bytes);
    TRY(file->read_at(member.offset, bytes), "reading sample " + sample.key);
    if (xxh3_hex(bytes) != member.hash)
      return tl::unexpected(
          corrupt(state_->dir / state_->shards[entry.shard].name,
                  "member \"" + sample.key + "." + member.extension + "\" does not have the recorded hash"));
    sample.members.emplace(member.extension, std::move(bytes));
  }
  return sample;
}

Result<void> ShardSet::verify() const {
  for (const ShardListing& shard : state_->shards) {
    const fs::path path = state_->dir / shard.name;
    TRY_ASSIGN(const std::string hash, xxh3_hex_of_file(*state_->disk, path), "verifying");
    if (hash != shard.hash) return tl::unexpected(corrupt(path, "it does not have the recorded hash"));
  }
  return {};
}

}  // namespace paddock::storage
