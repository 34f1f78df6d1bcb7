// storage/shard.h – samples in tar files (WebDataset's layout) with an index, for reading any sample at any
// time. Format: docs/dataset-format.md. A set is a folder: shard-000000.tar … (plain ustar, deterministic
// bytes, readable by tar and webdataset), shard-000000.jsonl … (where each member lies and its hash) and
// index.json, written last and atomically: a folder without it is not a set. The set's identity is the hash
// of index.json. Same samples in the same order with the same options: the same bytes, so the same identity.
// Threads: a ShardWriter has one owner; ShardSet's const members may run in any number of threads.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "storage/disk.h"
#include "storage/sample_set.h"

namespace paddock::storage {

struct ShardMember {
  std::string extension;             // "png", "json": [a-z0-9_]+, no dot
  std::span<const std::byte> bytes;  // not owned
};

struct ShardOptions {
  std::uint64_t bytes_max = 256u << 20;  // a shard is closed before a sample would take it past this
};

struct ShardSetInfo {
  std::uint64_t samples = 0;
  std::uint64_t shards = 0;
  std::uint64_t bytes = 0;  // of all tar files
  std::string hash;         // the set's identity
};

class ShardWriter {
 public:
  // Begins a set in `dir` (created), removing what an unfinished writer left there. kConflict: a finished set
  // is there. `disk` must outlive the writer.
  static Result<ShardWriter> open(Disk& disk, const fs::path& dir, const ShardOptions& options = {});
  ~ShardWriter();
  ShardWriter(ShardWriter&&) noexcept;
  ShardWriter& operator=(ShardWriter&&) noexcept;

  // Appends a sample. key: [A-Za-z0-9_-]+ ('/' allowed inside), no dot; key and extension together at most 99
  // bytes. kInvalid: a rule broken, a key twice in one shard, no member, a member of 8 GiB or more. Other
  // errors as Disk; after one the writer is done for: open a new one.
  Result<void> add(std::string_view key, const std::vector<ShardMember>& members);
  // Closes the last shard and writes the index: the set exists from here on, durably. Call once.
  Result<ShardSetInfo> finish();

 private:
  struct State;
  explicit ShardWriter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

struct Sample {
  std::string key;
  std::map<std::string, std::vector<std::byte>, std::less<>> members;  // by extension
};

class ShardSet final : public SampleSet {
 public:
  // Reads and checks the index. `disk` must outlive the set. kNotFound: no set, or an unfinished one.
  // kCorrupt: the index is damaged, or a shard is missing or has the wrong size.
  static Result<ShardSet> open(Disk& disk, const fs::path& dir);
  ~ShardSet() override;
  ShardSet(ShardSet&&) noexcept;
  ShardSet& operator=(ShardSet&&) noexcept;

  std::uint64_t size() const override;       // samples
  const std::string& hash() const override;  // covers every byte
  // Sample i < size(), its members checked against their hashes. kCorrupt names shard and member.
  Result<Sample> read(std::uint64_t i) const;
  // Its member "png", or else "jpg", alone. kInvalid: it has neither.
  Result<Bytes> read_picture(std::uint64_t i) const override;
  std::string key(std::uint64_t i) const override;
  // From the member "json": its "source" and "label". kInvalid: there is none; kCorrupt: it is no JSON object.
  Result<SampleAbout> about(std::uint64_t i) const override;
  // Reads every shard whole and compares it with its hash.
  Result<void> verify() const;

 private:
  struct State;
  explicit ShardSet(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace paddock::storage
