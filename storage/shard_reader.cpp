#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"
#include "storage/hash.h"
#include "storage/open_files.h"
#include "storage/shard.h"
#include "storage/shard_index.h"

namespace paddock::storage {

namespace {

using OpenShard = OpenFiles::File;

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
  mutable OpenFiles open_shards;

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
    return open_shards.get(
        number, [&] { return open_listed(*disk, dir / shards[number].name, shards[number].bytes); });
  }

  Result<Bytes> read_member(const Entry& entry, const MemberListing& member) const {
    const std::string name = entry.listing.key + "." + member.extension;
    TRY_ASSIGN(const OpenShard from, file(entry.shard), "reading " + name);
    Bytes bytes(member.bytes);
    if (auto read = from->read_at(member.offset, bytes.writable()); !read) {
      open_shards.forget(entry.shard);
      return tl::unexpected(read.error().within("reading " + name));
    }
    if (xxh3_hex(bytes.view()) != member.hash)
      return tl::unexpected(
          corrupt(dir / shards[entry.shard].name, "member \"" + name + "\" does not have the recorded hash"));
    return bytes;
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

std::string ShardSet::key(std::uint64_t i) const {
  PADDOCK_REQUIRE(i < size(), i, size());
  return state_->samples[i].listing.key;
}

Result<Sample> ShardSet::read(std::uint64_t i) const {
  PADDOCK_REQUIRE(i < size(), i, size());
  const State::Entry& entry = state_->samples[i];
  Sample sample{.key = entry.listing.key, .members = {}};
  for (const MemberListing& member : entry.listing.members) {
    TRY_ASSIGN(const Bytes bytes, state_->read_member(entry, member), "reading a sample");
    sample.members.emplace(member.extension,
                           std::vector<std::byte>(bytes.view().begin(), bytes.view().end()));
  }
  return sample;
}

Result<Bytes> ShardSet::read_picture(std::uint64_t i) const {
  PADDOCK_REQUIRE(i < size(), i, size());
  const State::Entry& entry = state_->samples[i];
  for (const char* extension : {"png", "jpg"})
    for (const MemberListing& member : entry.listing.members)
      if (member.extension == extension) return state_->read_member(entry, member);
  return fail(Code::kInvalid,
              "sample " + entry.listing.key + " has no member png or jpg; curate the set again");
}

Result<SampleAbout> ShardSet::about(std::uint64_t i) const {
  PADDOCK_REQUIRE(i < size(), i, size());
  const State::Entry& entry = state_->samples[i];
  for (const MemberListing& member : entry.listing.members) {
    if (member.extension != "json") continue;
    TRY_ASSIGN(const Bytes bytes, state_->read_member(entry, member), "reading what is said of a sample");
    const auto said = nlohmann::json::parse(bytes.text(), nullptr, false);
    if (!said.is_object())
      return tl::unexpected(corrupt(state_->dir / state_->shards[entry.shard].name,
                                    "the JSON of " + entry.listing.key + " is damaged"));
    const auto text = [&](const char* field) {
      const auto found = said.find(field);
      return found != said.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    return SampleAbout{text("source"), text("label")};
  }
  return fail(Code::kInvalid, "sample " + entry.listing.key + " has no member json; curate the set again");
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
