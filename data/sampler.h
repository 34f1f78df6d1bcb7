// data/sampler.h – which sample a position of a run is.
// Position p of a run with n samples is slot p mod n of epoch p / n; every epoch is its own keyed permutation
// of [0, n). Nothing is stored: a run is resumed, or split over another number of ranks, by knowing p.
// Threads: a value.
#pragma once

#include <cstdint>

#include "base/random.h"

namespace paddock::data {

struct SampleOrder {
  std::uint64_t samples = 0;  // > 0
  std::uint64_t seed = 0;

  std::uint64_t epoch(std::uint64_t position) const { return position / samples; }
  std::uint64_t index(std::uint64_t position) const {
    return permute(position % samples, samples, seed, position / samples);
  }
  // The sample that stands in for a bad one: attempt 0, 1, … from an order of its own.
  std::uint64_t replacement(std::uint64_t bad_index, std::uint64_t attempt) const {
    return permute(bad_index, samples, seed ^ kReplacementKey, attempt);
  }

 private:
  static constexpr std::uint64_t kReplacementKey =
      0x9E3779B97F4A7C15u;  // any constant: keeps the orders apart
};

}  // namespace paddock::data
