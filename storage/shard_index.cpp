#include "storage/shard_index.h"

#include <nlohmann/json.hpp>

#include "storage/json_fields.h"

namespace paddock::storage {

namespace {
using nlohmann::json;

bool is_plain(const std::string& name) {
  return !name.empty() && name.find('/') == std::string::npos;
}
}  // namespace

std::string print_index(const std::vector<ShardListing>& shards) {
  json list = json::array();
  std::uint64_t samples = 0;
  for (const ShardListing& shard : shards) {
    list.push_back(
        {{"name", shard.name},
         {"bytes", shard.bytes},
         {"hash", shard.hash},
         {"samples", shard.samples},
         {"index", {{"name", shard.index_name}, {"bytes", shard.index_bytes}, {"hash", shard.index_hash}}}});
    samples += shard.samples;
  }
  return json{{"format", kShardFormat}, {"samples", samples}, {"shards", std::move(list)}}.dump() + "\n";
}

Result<std::vector<ShardListing>> parse_index(std::string_view text) {
  const json whole = json::parse(text, nullptr, /*allow_exceptions=*/false);
  JsonFields fields(whole);
  if (fields.number("format") > kShardFormat)
    return fail(Code::kInvalid, "the index has a format above " + std::to_string(kShardFormat) +
                                    ", the newest this program reads: use a newer one");
  std::vector<ShardListing> shards;
  for (const json& entry : fields.list("shards")) {
    JsonFields shard(entry);
    JsonFields index(shard.object("index"));
    shards.push_back({.name = shard.text("name"),
                      .bytes = shard.number("bytes"),
                      .hash = shard.text("hash"),
                      .samples = shard.number("samples"),
                      .index_name = index.text("name"),
                      .index_bytes = index.number("bytes"),
                      .index_hash = index.text("hash")});
    if (!is_plain(shards.back().name) || !is_plain(shards.back().index_name))
      shard.missing("name", "the name of a file in the folder");
    TRY(shard.result(), "shard " + std::to_string(shards.size() - 1));
    TRY(index.result(), "shard " + std::to_string(shards.size() - 1));
  }
  TRY(fields.result(), "reading the index");
  return shards;
}

std::string print_sample(const SampleListing& sample) {
  json members = json::object();
  for (const MemberListing& member : sample.members)
    members[member.extension] = json::array({member.offset, member.bytes, member.hash});
  return json{{"key", sample.key}, {"members", std::move(members)}}.dump() + "\n";
}

Result<SampleListing> parse_sample(std::string_view line) {
  const json whole = json::parse(line, nullptr, /*allow_exceptions=*/false);
  JsonFields fields(whole);
  SampleListing sample{.key = fields.text("key"), .members = {}};
  for (const auto& [extension, place] : fields.object("members").items()) {
    if (!place.is_array() || place.size() != 3 || !place[0].is_number_unsigned() ||
        !place[1].is_number_unsigned() || !place[2].is_string()) {
      fields.missing("members", "of places [offset, bytes, hash]");
      break;
    }
    sample.members.push_back({extension, place[0].get<std::uint64_t>(), place[1].get<std::uint64_t>(),
                              place[2].get<std::string>()});
  }
  TRY(fields.result(), "reading a sample's line");
  return sample;
}

}  // namespace paddock::storage
