// tests/fuzz.h – seeded bytes and edits of good ones, for tests of what must be read without trust. A test has its usual
// number of rounds, a second or two of them; with PADDOCK_FUZZ_SECONDS=600 it goes on for so long with other seeds
// (`scripts/fuzz 600`). A failure names its round, which alone decides what is tried.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace paddock {

// for (Rounds rounds(20'000); rounds.next();) { Draws draws = rounds.draws(); … }
class Rounds {
 public:
  explicit Rounds(std::uint64_t usual) : usual_(usual) {
    if (const char* const seconds = std::getenv("PADDOCK_FUZZ_SECONDS"))
      end_ = std::chrono::steady_clock::now() + std::chrono::seconds(std::strtoll(seconds, nullptr, 10));
  }
  // False: enough, or the test has failed in the last round, which is then named.
  bool next() {
    if (testing::Test::HasFailure()) {
      if (next_ > 0) ADD_FAILURE() << "in round " << number();
      return false;
    }
    const bool goes_on = next_ < usual_ || (end_ && std::chrono::steady_clock::now() < *end_);
    next_ += goes_on ? 1 : 0;
    return goes_on;
  }
  std::uint64_t number() const { return next_ - 1; }
  Draws draws(std::uint32_t lane = 0) const { return Draws(20'261'128, number(), Purpose::kSplit, lane); }

 private:
  const std::uint64_t usual_;
  std::uint64_t next_ = 0;
  std::optional<std::chrono::steady_clock::time_point> end_;
};

inline std::string random_text(Draws& draws, std::uint64_t bytes_max) {
  std::string text(draws.below(bytes_max + 1), '\0');
  for (char& byte : text) byte = static_cast<char>(draws.u32());
  return text;
}

// A few edits of a good text: bytes changed, pieces removed, repeated, cut off, and scraps put in.
inline std::string edited(std::string text, Draws& draws, const std::vector<std::string_view>& scraps) {
  for (std::uint64_t edits = 1 + draws.below(5); edits > 0; --edits) {
    const std::size_t at = draws.below(text.size() + 1);
    const std::size_t length = draws.below(25);
    switch (draws.below(8)) {
      case 0:
      case 1:
        if (at < text.size()) text[at] = static_cast<char>(draws.u32());
        break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << draws.below(8)));
        break;
      case 3:
        text.erase(at, length);
        break;
      case 4:
        text.insert(at, text.substr(draws.below(text.size() + 1), length));
        break;
      case 5:
        if (draws.below(8) == 0) text.resize(at);
        break;
      default:
        if (!scraps.empty()) text.insert(at, scraps[draws.below(scraps.size())]);
    }
  }
  return text;
}

inline const std::vector<std::string_view>& json_scraps() {
  static const std::vector<std::string_view> scraps = {"{",
                                                       "}",
                                                       "[",
                                                       "]",
                                                       ":",
                                                       ",",
                                                       "\"",
                                                       "-1",
                                                       "18446744073709551616",
                                                       "9223372036854775807",
                                                       "0",
                                                       "1e",
                                                       "e9",
                                                       "1.5",
                                                       "null",
                                                       "true",
                                                       "\\u0",
                                                       "\"\"",
                                                       "{}",
                                                       "[]"};
  return scraps;
}

}  // namespace paddock
