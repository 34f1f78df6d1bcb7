// storage/shard_index.h – the text of a shard set's index files. Grammar: docs/dataset-format.md.
// index.json lists the shards; beside each tar a .jsonl file lists its samples, one a line.
// Threads: pure functions and values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace paddock::storage {

inline constexpr std::uint64_t kShardFormat = 1;
inline constexpr const char* kIndexName = "index.json";
inline constexpr const char* kIndexHashName = "index.xxh128";
inline constexpr std::uint64_t kIndexBytesMax = 64u << 20;  // of index.json: some 250,000 shards

struct ShardListing {
  std::string name;  // "shard-000000.tar"
  std::uint64_t bytes = 0;
  std::string hash;
  std::uint64_t samples = 0;
  std::string index_name;  // "shard-000000.jsonl"
  std::uint64_t index_bytes = 0;
  std::string index_hash;
};

struct MemberListing {
  std::string extension;
  std::uint64_t offset = 0;  // of the member's bytes in the tar
  std::uint64_t bytes = 0;
  std::string hash;
};

struct SampleListing {
  std::string key;
  std::vector<MemberListing> members;
};

std::string print_index(const std::vector<ShardListing>& shards);
// kCorrupt: which field is wrong. kInvalid: a newer format.
Result<std::vector<ShardListing>> parse_index(std::string_view text);

// One line with its newline.
std::string print_sample(const SampleListing& sample);
// A line without its newline. kCorrupt: which field is wrong.
Result<SampleListing> parse_sample(std::string_view line);

}  // namespace paddock::storage
