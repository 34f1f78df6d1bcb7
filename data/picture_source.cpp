#include "data/picture_source.h"

#include <string>
#include <utility>

#include "base/check.h"

namespace paddock::data {

PictureSource::PictureSource(const storage::SampleSet& set, std::uint64_t cache_bytes, int channels,
                             const storage::Patience& patience, const DecodeLimits& limits)
    : set_(set), cache_bytes_(cache_bytes), channels_(channels), patience_(patience), limits_(limits) {}

Result<std::shared_ptr<const Image>> PictureSource::picture(std::uint64_t index) const {
  PADDOCK_REQUIRE(index < size(), index, size());
  auto kept = cache_.with([&](Cache& cache) -> std::shared_ptr<const Image> {
    const auto found = cache.pictures.find(index);
    return found == cache.pictures.end() ? nullptr : found->second;
  });
  if (kept) return kept;
  // Two threads may decode the same picture at once; the first to finish is kept, and both are the same.
  const auto read = [&] { return set_.read_picture(index); };
  TRY_ASSIGN(const storage::Bytes file, storage::read_patiently(patience_, read, [&] { ++retries_; }),
             set_.key(index));
  TRY_ASSIGN(Image image, decode_image(file.view(), limits_, channels_), set_.key(index));
  auto picture = std::make_shared<const Image>(std::move(image));
  cache_.with([&](Cache& cache) {
    const std::uint64_t bytes = picture->rgb.size() + picture->alpha.size();
    if (bytes > cache_bytes_ - cache.bytes || !cache.pictures.emplace(index, picture).second) return;
    cache.bytes += bytes;
  });
  return picture;
}

}  // namespace paddock::data
