#include "jobs/spec/units.h"

#include <array>
#include <charconv>
#include <limits>
#include <span>
#include <utility>

namespace paddock::spec {
namespace {

using Unit = std::pair<std::string_view, std::uint64_t>;

// Largest first: format() takes the first that divides.
constexpr std::array<Unit, 5> kDurations = {
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr std::array<Unit, 5> kSizes = {
    {{"TiB", 1ull << 40}, {"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}, {"B", 1}}};

std::optional<std::uint64_t> parse(std::string_view text, std::span<const Unit> units) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  const std::string_view name = text.substr(static_cast<std::size_t>(end - text.data()));
  for (const auto& [unit, factor] : units) {
    if (name != unit) continue;
    if (number > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()) / factor)
      return std::nullopt;
    return number * factor;
  }
  return std::nullopt;
}

std::string format(std::uint64_t number, std::span<const Unit> units, std::string_view zero) {
  if (number == 0) return std::string(zero);
  for (const auto& [unit, factor] : units) {
    if (number % factor == 0) return std::to_string(number / factor) + std::string(unit);
  }
  return {};  // not reached: the smallest unit divides everything
}

// A whole text value, checked by `parse_text` and the bounds.
template <typename V, typename Parse, typename Format>
Rule<V> unit_rule(std::string what, std::string pattern, V min, V max, Parse parse_text,
                  Format format_value) {
  Rule<V> rule;
  rule.allowed = std::move(what) + " from " + format_value(min) + " to " + format_value(max);
  rule.schema = Json{{"type", "string"}, {"pattern", std::move(pattern)}};
  rule.read = [=](const Json& json) -> std::optional<V> {
    if (!json.is_string()) return std::nullopt;
    const auto value = parse_text(json.get<std::string>());
    if (!value || *value < min || *value > max) return std::nullopt;
    return value;
  };
  rule.write = [=](const V& value) { return Json(format_value(value)); };
  return rule;
}

}  // namespace

std::optional<Millis> parse_duration(std::string_view text) {
  const auto ms = parse(text, kDurations);
  return ms ? std::optional(Millis(static_cast<std::int64_t>(*ms))) : std::nullopt;
}

std::string format_duration(Millis duration) {
  return format(static_cast<std::uint64_t>(duration.count()), kDurations, "0s");
}

std::optional<ByteSize> parse_size(std::string_view text) {
  const auto bytes = parse(text, kSizes);
  return bytes ? std::optional(ByteSize{*bytes}) : std::nullopt;
}

std::string format_size(ByteSize size) {
  return format(size.bytes, kSizes, "0B");
}

Rule<Millis> duration_rule(Millis min, Millis max) {
  return unit_rule("a duration like 30s, 5m, 2h or 7d", "^[0-9]+(ms|s|m|h|d)$", min, max, parse_duration,
                   format_duration);
}

Rule<ByteSize> size_rule(ByteSize min, ByteSize max) {
  return unit_rule("a size like 512MiB or 16GiB", "^[0-9]+(B|KiB|MiB|GiB|TiB)$", min, max, parse_size,
                   format_size);
}

}  // namespace paddock::spec
