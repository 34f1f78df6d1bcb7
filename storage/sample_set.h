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

// What is known of a sample beside its picture.
struct SampleAbout {
  std::string source;  // where it comes from, for a person
  std::string label;   // what it shows, in its source's words; empty: nothing is said
};

class SampleSet {
 public:
  SampleSet() = default;
  virtual ~SampleSet() = default;

  virtual std::uint64_t size() const = 0;
  // Where a person finds sample i < size(): below the set's folder.
  virtual std::string key(std::uint64_t i) const = 0;
  // Its label is the first of the folders that lie around it in the set, as in CLASS/PICTURE.jpg, unless the kind of set
  // knows better. Errors as read_picture().
  virtual Result<SampleAbout> about(std::uint64_t i) const {
    const std::string where = key(i);
    return SampleAbout{where, first_folder(where)};
  }
  // The bytes of sample i's picture, as they are stored (PNG, JPEG, or whatever passes itself off as one).
  // kCorrupt, kInvalid: this picture can never be had. kConflict: it is not what it was when the set was
  // opened. Others as Disk; after kUnavailable another try may help.
  virtual Result<Bytes> read_picture(std::uint64_t i) const = 0;
  // The set's identity: equal hashes are equal pictures in the same order. Each kind says what it covers.
  virtual const std::string& hash() const = 0;

 protected:
  static std::string first_folder(const std::string& path) {
    const auto slash = path.find('/');
    return slash == std::string::npos ? std::string() : path.substr(0, slash);
  }

  SampleSet(const SampleSet&) = default;
  SampleSet& operator=(const SampleSet&) = default;
  SampleSet(SampleSet&&) = default;
  SampleSet& operator=(SampleSet&&) = default;
};

}  // namespace paddock::storage
