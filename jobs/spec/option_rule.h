// jobs/spec/option_rule.h – the types an option can have, their bounds, and how each is read from and written
// to JSON. A Rule says for one type and bound what is allowed, as a sentence for people, as JSON Schema, and
// as a test. Threads: values. Errors: reading returns nothing when the value is of another type or out of
// bounds.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace paddock::spec {

using Json = nlohmann::json;

// Bounds, as given to OptionTable. For a list they hold for each element.
struct Anything {};
template <typename Number>
struct Between {  // both ends included
  Number min;
  Number max;
};
struct Positive {};  // greater than 0
struct OneOf {
  std::vector<std::string> values;
  OneOf(std::initializer_list<std::string> allowed) : values(allowed) {}
  explicit OneOf(std::vector<std::string> allowed) : values(std::move(allowed)) {}
};

template <typename V>
std::function<Json(const V&)> plain_writer() {
  if constexpr (std::is_constructible_v<Json, const V&>)
    return [](const V& value) { return Json(value); };
  else
    return {};
}

template <typename V>
struct Rule {
  std::string allowed;  // "a whole number from 1 to 10"
  Json schema;          // {"type": "integer", "minimum": 1, "maximum": 10}
  std::function<std::optional<V>(const Json&)> read;
  std::function<Json(const V&)> write = plain_writer<V>();
};

Rule<bool> boolean_rule();
Rule<std::int64_t> integer_rule(std::optional<std::int64_t> min, std::optional<std::int64_t> max);
// Finite numbers only; with `is_positive` only those above 0.
Rule<double> number_rule(std::optional<double> min, std::optional<double> max, bool is_positive);
// `allowed` empty: any text.
Rule<std::string> text_rule(std::vector<std::string> allowed);
Rule<std::map<std::string, std::string>> text_map_rule();
Rule<std::map<std::string, double>> number_map_rule(Rule<double> each);

// What is_name (base/ids.h) takes, for people.
std::string name_allowed();

// `value` as it is shown in a message, shortened.
std::string shown(const Json& value);

template <typename V>
struct RuleFor;

template <>
struct RuleFor<bool> {
  static Rule<bool> make(Anything) { return boolean_rule(); }
};
template <>
struct RuleFor<std::int64_t> {
  static Rule<std::int64_t> make(Anything) { return integer_rule(std::nullopt, std::nullopt); }
  static Rule<std::int64_t> make(Positive) { return integer_rule(1, std::nullopt); }
  template <std::integral Number>
  static Rule<std::int64_t> make(Between<Number> bound) {
    return integer_rule(static_cast<std::int64_t>(bound.min), static_cast<std::int64_t>(bound.max));
  }
};
template <>
struct RuleFor<double> {
  static Rule<double> make(Anything) { return number_rule(std::nullopt, std::nullopt, false); }
  static Rule<double> make(Positive) { return number_rule(std::nullopt, std::nullopt, true); }
  template <typename Number>
  requires std::integral<Number> || std::floating_point<Number>
  static Rule<double> make(Between<Number> bound) {
    return number_rule(static_cast<double>(bound.min), static_cast<double>(bound.max), false);
  }
};
template <>
struct RuleFor<std::string> {
  static Rule<std::string> make(Anything) { return text_rule({}); }
  static Rule<std::string> make(OneOf bound) { return text_rule(std::move(bound.values)); }
};
template <>
struct RuleFor<std::map<std::string, std::string>> {
  static Rule<std::map<std::string, std::string>> make(Anything) { return text_map_rule(); }
};
template <>
struct RuleFor<std::map<std::string, double>> {
  template <typename Bound>
  static Rule<std::map<std::string, double>> make(Bound bound) {
    return number_map_rule(RuleFor<double>::make(std::move(bound)));
  }
};

template <typename V>
struct RuleFor<std::vector<V>> {
  template <typename Bound>
  static Rule<std::vector<V>> make(Bound bound) {
    const Rule<V> each = RuleFor<V>::make(std::move(bound));
    Rule<std::vector<V>> rule;
    rule.allowed = "a list, each element " + each.allowed;
    rule.schema = Json{{"type", "array"}, {"items", each.schema}};
    rule.read = [each](const Json& json) -> std::optional<std::vector<V>> {
      if (!json.is_array()) return std::nullopt;
      std::vector<V> values;
      for (const Json& element : json) {
        auto value = each.read(element);
        if (!value) return std::nullopt;
        values.push_back(*std::move(value));
      }
      return values;
    };
    return rule;
  }
};

// An option that may be left out without having a default: null in JSON.
template <typename V>
struct RuleFor<std::optional<V>> {
  template <typename Bound>
  static Rule<std::optional<V>> make(Bound bound) {
    const Rule<V> given = RuleFor<V>::make(std::move(bound));
    Rule<std::optional<V>> rule;
    rule.allowed = given.allowed + ", or null";
    rule.schema = Json{{"anyOf", Json::array({given.schema, Json{{"type", "null"}}})}};
    rule.read = [given](const Json& json) -> std::optional<std::optional<V>> {
      if (json.is_null()) return std::optional<V>();
      auto value = given.read(json);
      if (!value) return std::nullopt;
      return std::optional<V>(*std::move(value));
    };
    rule.write = [given](const std::optional<V>& value) { return value ? given.write(*value) : Json(); };
    return rule;
  }
};

}  // namespace paddock::spec
