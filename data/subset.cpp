#include "data/subset.h"

#include <utility>

#include "base/check.h"
#include "base/random.h"
#include "storage/hash.h"

namespace paddock::data {
namespace {

constexpr std::uint64_t kSplitKey = 0xD1B54A32D192ED03u;  // any constant: no run's seed

}  // namespace

Subset::Subset(std::shared_ptr<const storage::SampleSet> whole, std::uint64_t first, std::uint64_t count)
    : whole_(std::move(whole)),
      first_(first),
      count_(count),
      hash_(storage::xxh3_hex("paddock-subset 1 " + whole_->hash() + " " + std::to_string(first) + " " +
                              std::to_string(count))) {
  PADDOCK_REQUIRE(first <= whole_->size() && count <= whole_->size() - first, first, count, whole_->size());
}

std::uint64_t Subset::index(std::uint64_t i) const {
  PADDOCK_REQUIRE(i < count_, i, count_);
  return permute(first_ + i, whole_->size(), kSplitKey, 0);
}

}  // namespace paddock::data
