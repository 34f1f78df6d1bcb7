// data/picture_source.h – the pictures of a set, decoded, with the small sets kept in memory. A decoded
// picture is kept while all of them together stay within cache_bytes; what does not fit is decoded at each
// use. A disk that fails for a moment is asked again, after a pause. Threads: all members from any thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/guarded.h"
#include "base/result.h"
#include "data/decode.h"
#include "data/image.h"
#include "storage/patience.h"
#include "storage/sample_set.h"

namespace paddock::data {

class PictureSource {
 public:
  // `set` must outlive the source. cache_bytes counts decoded pixels; 0: nothing is kept.
  // `channels` as decode_image.
  PictureSource(const storage::SampleSet& set, std::uint64_t cache_bytes, int channels = 3,
                const storage::Patience& patience = {}, const DecodeLimits& limits = {});

  std::uint64_t size() const { return set_.size(); }
  std::string key(std::uint64_t index) const { return set_.key(index); }
  // Picture `index` < size(). kCorrupt, kInvalid: this sample can never be had. kUnavailable and the like:
  // the disk, after all of `patience`.
  Result<std::shared_ptr<const Image>> picture(std::uint64_t index) const;
  // How often the disk was asked again.
  std::uint64_t retries() const { return retries_; }

 private:
  struct Cache {
    std::unordered_map<std::uint64_t, std::shared_ptr<const Image>> pictures;  // by index
    std::uint64_t bytes = 0;
  };

  const storage::SampleSet& set_;
  const std::uint64_t cache_bytes_;
  const int channels_;
  const storage::Patience patience_;
  const DecodeLimits limits_;
  mutable std::atomic<std::uint64_t> retries_{0};
  mutable Guarded<Cache> cache_;
};

}  // namespace paddock::data
