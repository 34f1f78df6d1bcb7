// data/picture_source.h – the pictures of a shard set, decoded, with the small sets kept in memory.
// A sample is a member "png" or "jpg". A decoded picture is kept while all of them together stay within
// cache_bytes; what does not fit is decoded at each use. Threads: all members from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "base/guarded.h"
#include "base/result.h"
#include "data/decode.h"
#include "data/image.h"
#include "storage/shard.h"

namespace paddock::data {

class PictureSource {
 public:
  // `shards` must outlive the source. cache_bytes counts decoded pixels; 0: nothing is kept.
  PictureSource(const storage::ShardSet& shards, std::uint64_t cache_bytes, const DecodeLimits& limits = {});

  std::uint64_t size() const { return shards_.size(); }
  std::string_view key(std::uint64_t index) const { return shards_.key(index); }
  // Picture `index` < size(). kCorrupt, kInvalid: this sample can never be had. kUnavailable and the like:
  // the disk.
  Result<std::shared_ptr<const Image>> picture(std::uint64_t index) const;

 private:
  struct Cache {
    std::vector<std::shared_ptr<const Image>> pictures;  // by index; null: not kept
    std::uint64_t bytes = 0;
  };

  const storage::ShardSet& shards_;
  const std::uint64_t cache_bytes_;
  const DecodeLimits limits_;
  mutable Guarded<Cache> cache_;
};

}  // namespace paddock::data
