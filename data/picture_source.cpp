#include "data/picture_source.h"

#include <string>
#include <utility>

#include "base/check.h"

namespace paddock::data {

PictureSource::PictureSource(const storage::ShardSet& shards, std::uint64_t cache_bytes,
                             const DecodeLimits& limits)
    : shards_(shards), cache_bytes_(cache_bytes), limits_(limits) {
  cache_.with([&](Cache& cache) { cache.pictures.resize(shards.size()); });
}

Result<std::shared_ptr<const Image>> PictureSource::picture(std::uint64_t index) const {
  PADDOCK_REQUIRE(index < size(), index, size());
  if (auto kept = cache_.with([&](Cache& cache) { return cache.pictures[index]; })) return kept;
  // Two threads may decode the same picture at once; the first to finish is kept, and both are the same.
  TRY_ASSIGN(const storage::Sample sample, shards_.read(index), "reading the sample");
  auto member = sample.members.find("png");
  if (member == sample.members.end()) member = sample.members.find("jpg");
  if (member == sample.members.end())
    return fail(Code::kInvalid, "sample " + sample.key + " has no member png or jpg; curate the set again");
  TRY_ASSIGN(Image image, decode_image(member->second, limits_), sample.key + "." + member->first);
  auto picture = std::make_shared<const Image>(std::move(image));
  cache_.with([&](Cache& cache) {
    const std::uint64_t bytes = picture->rgb.size();
    if (cache.pictures[index] != nullptr || bytes > cache_bytes_ - cache.bytes) return;
    cache.pictures[index] = picture;
    cache.bytes += bytes;
  });
  return picture;
}

}  // namespace paddock::data
