// base/random.h – randomness without state: a draw is a function of its key.
// Philox4x32-10 (Salmon et al., SC'11) turns (seed, where, what for, index) into 128 bits; a Feistel network with cycle
// walking turns it into a permutation of [0, n). Nothing is ever saved or restored: a position in a run is one integer.
// Integer arithmetic only in the generator, so every machine and compiler draws the same. Threads: pure functions.
#pragma once

#include <array>
#include <cmath>
#include <cstdint>

namespace paddock {

using Philox = std::array<std::uint32_t, 4>;

constexpr Philox philox(Philox counter, std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
               static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  return counter;
}

// What a draw is for. Append only: the numbers are part of every run's identity.
enum class Purpose : std::uint32_t {
  kOrder = 1,
  kCrop = 2,
  kColor = 3,
  kMask = 4,
  kDropPath = 5,
  kInit = 6,
  kReplacement = 7,
  kCluster = 8,
  kSplit = 9,
  kProbe = 10,
  kBootstrap = 11,
  kSimulation = 12,
};

// A stream of draws for one (seed, position, purpose, lane); `lane` is a view, a layer, a tensor.
class Draws {
 public:
  constexpr Draws(std::uint64_t seed, std::uint64_t position, Purpose purpose, std::uint32_t lane = 0)
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
        position_low_(static_cast<std::uint32_t>(position)),
        // 40 bits of position are enough for a trillion samples; purpose takes the 8 bits above.
        position_high_(static_cast<std::uint32_t>((position >> 32) & 0xFFFFFFu) |
                       (static_cast<std::uint32_t>(purpose) << 24)),
        lane_(lane) {}

  constexpr std::uint32_t u32() {
    if (used_ == 4) {
      block_ = philox({position_low_, position_high_, lane_, index_++}, key_);
      used_ = 0;
    }
    return block_[used_++];
  }
  constexpr std::uint64_t u64() {
    const std::uint64_t high = u32();
    return (high << 32) | u32();
  }
  // Uniform in [0, 1), 53 bits.
  constexpr double uniform() { return static_cast<double>(u64() >> 11) * 0x1.0p-53; }
  constexpr double uniform(double low, double high) { return low + (high - low) * uniform(); }
  // Uniform in [0, n), n > 0, by multiplication: the bias is below n/2^64.
  constexpr std::uint64_t below(std::uint64_t n) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(u64()) * n) >> 64);
  }
  // Standard normal by Box–Muller (libm, so only as portable as its log and cos).
  double normal() {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform()));
    return radius * std::cos(2.0 * 3.14159265358979323846 * uniform());
  }

 private:
  std::array<std::uint32_t, 2> key_;
  std::uint32_t position_low_;
  std::uint32_t position_high_;
  std::uint32_t lane_;
  std::uint32_t index_ = 0;
  Philox block_{};
  std::uint32_t used_ = 4;
};

// π(index) for a keyed bijection π of [0, n). O(1), no table. n > 0, index < n.
constexpr std::uint64_t permute(std::uint64_t index, std::uint64_t n, std::uint64_t seed,
                                std::uint64_t epoch) {
  if (n <= 1) return 0;
  int half_bits = 1;
  while ((std::uint64_t{1} << (2 * half_bits)) < n) ++half_bits;
  const std::uint64_t mask = (std::uint64_t{1} << half_bits) - 1;
  std::uint64_t value = index;
  do {
    std::uint64_t left = value >> half_bits;
    std::uint64_t right = value & mask;
    for (std::uint32_t round = 0; round < 6; ++round) {
      const Philox mixed =
          philox({static_cast<std::uint32_t>(right), static_cast<std::uint32_t>(right >> 32),
                  static_cast<std::uint32_t>(epoch) ^ (round << 28), static_cast<std::uint32_t>(epoch >> 32)},
                 {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
      const std::uint64_t next = left ^ ((std::uint64_t{mixed[0]} | (std::uint64_t{mixed[1]} << 32)) & mask);
      left = right;
      right = next;
    }
    value = (left << half_bits) | right;
  } while (value >= n);  // cycle walking: at most four times the domain, so a few rounds on average
  return value;
}

}  // namespace paddock
