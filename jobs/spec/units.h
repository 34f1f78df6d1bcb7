// jobs/spec/units.h – durations and sizes as people write them: 30s, 5m, 16GiB.
// Threads: pure functions. Errors: nothing is returned for what is not such a text.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"
#include "jobs/spec/option_rule.h"

namespace paddock::spec {

struct ByteSize {
  std::uint64_t bytes = 0;
  auto operator<=>(const ByteSize&) const = default;
};

// A whole number and one of ms, s, m, h, d.
std::optional<Millis> parse_duration(std::string_view text);
// In the largest unit that is exact.
std::string format_duration(Millis duration);

// A whole number and one of B, KiB, MiB, GiB, TiB.
std::optional<ByteSize> parse_size(std::string_view text);
std::string format_size(ByteSize size);

Rule<Millis> duration_rule(Millis min, Millis max);
Rule<ByteSize> size_rule(ByteSize min, ByteSize max);

template <>
struct RuleFor<Millis> {
  static Rule<Millis> make(Between<Millis> bound) { return duration_rule(bound.min, bound.max); }
};
template <>
struct RuleFor<ByteSize> {
  static Rule<ByteSize> make(Between<ByteSize> bound) { return size_rule(bound.min, bound.max); }
};

}  // namespace paddock::spec
