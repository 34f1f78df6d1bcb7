// data/subset.h – a part of a set, drawn by a keyed permutation: positions [first, first + count) of an order
// that depends on nothing but the whole's size. So every run on the same pictures holds out the same ones,
// whatever its seed, and a student never meets what its teacher was measured on. Nothing is stored for a
// picture. Threads: const members from any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "storage/sample_set.h"

namespace paddock::data {

class Subset final : public storage::SampleSet {
 public:
  // first + count <= whole->size().
  Subset(std::shared_ptr<const storage::SampleSet> whole, std::uint64_t first, std::uint64_t count);

  std::uint64_t size() const override { return count_; }
  std::string key(std::uint64_t i) const override { return whole_->key(index(i)); }
  Result<storage::SampleAbout> about(std::uint64_t i) const override { return whole_->about(index(i)); }
  Result<storage::Bytes> read_picture(std::uint64_t i) const override {
    return whole_->read_picture(index(i));
  }
  // Covers the whole's, and which part it is.
  const std::string& hash() const override { return hash_; }

 private:
  std::uint64_t index(std::uint64_t i) const;

  std::shared_ptr<const storage::SampleSet> whole_;
  std::uint64_t first_, count_;
  std::string hash_;
};

}  // namespace paddock::data
