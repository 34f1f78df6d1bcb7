// storage/sample_set.h – pictures that are numbered: what training reads, whatever holds them. A curated
// shard set (shard.h), tar files of anybody's (tar_set.h), plain files and a part of another set (data/) are
// each one.
// Threads: const members from any.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "storage/disk.h"

namespace paddock::storage {

// A picture's file above this is not one; it is refused before it is read into memory.
inline constexpr std::uint64_t kPictureBytesMax = 256u << 20;

class SampleSet {
 public:
  SampleSet() = default;
  virtual ~SampleSet() = default;

  virtual std::uint64_t size() const = 0;
  // Where a person finds sample i < size(): below the set's folder.
  virtual std::string key(std::uint64_t i) const = 0;
  // The bytes of sample i's picture, as they are stored (PNG, JPEG, or whatever passes itself off as one).
  // kCorrupt, kInvalid: this picture can never be had. kConflict: it is not what it was when the set was
  // opened. Others as Disk; after kUnavailable another try may help.
  virtual Result<Bytes> read_picture(std::uint64_t i) const = 0;
  // The set's identity: equal hashes are equal pictures in the same order. Each kind says what it covers.
  virtual const std::string& hash() const = 0;

 protected:
  SampleSet(const SampleSet&) = default;
  SampleSet& operator=(const SampleSet&) = default;
  SampleSet(SampleSet&&) = default;
  SampleSet& operator=(SampleSet&&) = default;
};

}  // namespace paddock::storage
