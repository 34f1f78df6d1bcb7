#include "jobs/spec/option_rule.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/limits.h"
#include "jobs/spec/nearest.h"

namespace paddock::spec {
namespace {

constexpr std::size_t kShownBytesMax = 80;

template <typename Number>
std::string in_words(std::string_view what, std::optional<Number> min, std::optional<Number> max) {
  const auto text = [](Number number) { return Json(number).dump(); };
  std::string words(what);
  if (min && max) return words + " from " + text(*min) + " to " + text(*max);
  if (min) return words + " of at least " + text(*min);
  if (max) return words + " of at most " + text(*max);
  return words;
}

template <typename Number>
void add_bounds(Json& schema, std::optional<Number> min, std::optional<Number> max) {
  if (min) schema["minimum"] = *min;
  if (max) schema["maximum"] = *max;
}

// Whole numbers also come as 2.0 or 1e6.
std::optional<std::int64_t> as_integer(const Json& json) {
  if (json.is_number_unsigned()) {
    const auto value = json.get<std::uint64_t>();
    if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
    return static_cast<std::int64_t>(value);
  }
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (!json.is_number_float()) return std::nullopt;
  const double value = json.get<double>();
  constexpr double kExactMax =
      9007199254740992.0;  // 2^53: above it a double is no longer one certain whole number
  if (!(std::abs(value) <= kExactMax) || value != std::floor(value)) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

}  // namespace

Rule<bool> boolean_rule() {
  Rule<bool> rule;
  rule.allowed = "true or false";
  rule.schema = Json{{"type", "boolean"}};
  rule.read = [](const Json& json) {
    return json.is_boolean() ? std::optional(json.get<bool>()) : std::nullopt;
  };
  return rule;
}

Rule<std::int64_t> integer_rule(std::optional<std::int64_t> min, std::optional<std::int64_t> max) {
  Rule<std::int64_t> rule;
  rule.allowed = in_words("a whole number", min, max);
  rule.schema = Json{{"type", "integer"}};
  add_bounds(rule.schema, min, max);
  rule.read = [min, max](const Json& json) -> std::optional<std::int64_t> {
    const auto value = as_integer(json);
    if (!value || (min && *value < *min) || (max && *value > *max)) return std::nullopt;
    return value;
  };
  return rule;
}

Rule<double> number_rule(std::optional<double> min, std::optional<double> max, bool is_positive) {
  Rule<double> rule;
  rule.allowed = is_positive ? "a number greater than 0" : in_words("a number", min, max);
  rule.schema = Json{{"type", "number"}};
  add_bounds(rule.schema, min, max);
  if (is_positive) rule.schema["exclusiveMinimum"] = 0;
  rule.read = [min, max, is_positive](const Json& json) -> std::optional<double> {
    if (!json.is_number()) return std::nullopt;
    const double value = json.get<double>();
    if (!std::isfinite(value) || (min && value < *min) || (max && value > *max)) return std::nullopt;
    if (is_positive && value <= 0) return std::nullopt;
    return value;
  };
  return rule;
}

Rule<std::string> text_rule(std::vector<std::string> allowed) {
  Rule<std::string> rule;
  rule.allowed = allowed.empty() ? "text" : "one of: " + enumerate(allowed);
  rule.schema = Json{{"type", "string"}};
  if (!allowed.empty()) rule.schema["enum"] = allowed;
  rule.read = [allowed](const Json& json) -> std::optional<std::string> {
    if (!json.is_string()) return std::nullopt;
    auto value = json.get<std::string>();
    if (!allowed.empty() && std::find(allowed.begin(), allowed.end(), value) == allowed.end())
      return std::nullopt;
    return value;
  };
  return rule;
}

Rule<std::map<std::string, std::string>> text_map_rule() {
  Rule<std::map<std::string, std::string>> rule;
  rule.allowed = "a map from names to text";
  rule.schema = Json{{"type", "object"}, {"additionalProperties", {{"type", "string"}}}};
  rule.read = [](const Json& json) -> std::optional<std::map<std::string, std::string>> {
    if (!json.is_object()) return std::nullopt;
    std::map<std::string, std::string> values;
    for (const auto& [key, value] : json.items()) {
      if (!value.is_string()) return std::nullopt;
      values[key] = value.get<std::string>();
    }
    return values;
  };
  return rule;
}

Rule<std::map<std::string, double>> number_map_rule(Rule<double> each) {
  Rule<std::map<std::string, double>> rule;
  rule.allowed = "a map from names to values, each " + each.allowed;
  rule.schema = Json{{"type", "object"}, {"additionalProperties", each.schema}};
  rule.read = [each](const Json& json) -> std::optional<std::map<std::string, double>> {
    if (!json.is_object()) return std::nullopt;
    std::map<std::string, double> values;
    for (const auto& [key, value] : json.items()) {
      const auto number = each.read(value);
      if (!number) return std::nullopt;
      values[key] = *number;
    }
    return values;
  };
  return rule;
}

std::string name_allowed() {
  return "letters, digits and ._- (no dot in front), at most " + std::to_string(limits::kNameBytesMax);
}

std::string shown(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() <= kShownBytesMax) return text;
  std::size_t end = kShownBytesMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0u) == 0x80u)
    --end;  // not inside a character
  return text.substr(0, end) + "…";
}

}  // namespace paddock::spec
