// jobs/curate/held_out.h – which pictures are kept for testing, decided by what they show.
// Pictures that resemble each other form groups; a group goes to train or to test whole, by a draw keyed with
// the seed and the smallest content hash in it: adding other pictures to the pool moves nobody. Groups above
// a size stay in train (a test set should not be one motif). Whatever is then still near a test picture
// leaves train together with its group; the pairs that caused it are kept, as the answer to "was the test set
// inside?". Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jobs/curate/linkage.h"

namespace paddock::curate {

struct HeldOutRules {
  double test_share = .15;              // expected share of the pictures
  std::uint32_t group_max = 40;         // groups with more pictures than this are never held out
  std::int32_t leak_similarity = kOne;  // train pictures at or above this to a test picture are dropped
  std::uint64_t seed = 0;
};

enum class Side : std::uint8_t { kTrain, kTest, kLeaked };

struct Leak {
  std::uint32_t train = 0;
  std::uint32_t test = 0;
  std::int32_t similarity = 0;
};

struct HeldOut {
  std::vector<Side> side;   // of each picture
  std::vector<Leak> leaks;  // every train–test pair at or above leak_similarity, by (train, test)
};

// The first 40 bits of a hex hash: the position of draws about a picture, so that they belong to its content.
std::uint64_t draw_position(const std::string& content_hash);

// `edges` holds at least every pair at or above rules.leak_similarity.
HeldOut hold_out(const Groups& groups, const std::vector<std::string>& content_hashes,
                 const std::vector<Edge>& edges, const HeldOutRules& rules);

}  // namespace paddock::curate
