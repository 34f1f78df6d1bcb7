// jobs/spec/option_table.h – what may stand in the `with` of a job kind: one table a struct of options.
// From the one table come the reading (every problem at once), the JSON Schema and the resolved options:
//
//   struct TrainOptions { std::string data; std::int64_t steps = 600; HeadOptions head; };
//   static const auto table = OptionTable<TrainOptions>()
//       .required("data", &TrainOptions::data, "curated dataset to train on")
//       .optional("steps", &TrainOptions::steps, Between{1, 10'000'000}, "optimiser steps; more is better and
//       slower") .group("head", &TrainOptions::head, head_table, "the projection head") .check([](const
//       TrainOptions& o, Problems& problems) { if (…) problems.push_back({"steps", "…"}); });
//
// Member types: bool, int64_t, double, std::string, vectors of these, maps from text to text or double,
// std::optional of these. Defaults are those of a default-constructed T. Threads: const members from any.
// Errors: values, no throws.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>
#include <vector>

#include "jobs/spec/nearest.h"
#include "jobs/spec/option_rule.h"

namespace paddock::spec {

// One thing that is wrong. `path` is the key within `with`: "heads.prototypes"; "" is the whole.
struct Problem {
  std::string path;
  std::string message;  // what is wrong and what is allowed
  bool operator==(const Problem&) const = default;
};
using Problems = std::vector<Problem>;

// "a" under "b" is "b.a"; either may be empty.
inline std::string join_path(std::string_view parent, std::string_view key) {
  std::string path(parent);
  if (!parent.empty() && !key.empty()) path += '.';
  return path += key;
}

template <typename T>
class OptionTable {
 public:
  // An option that must be given.
  template <typename V, typename Bound>
  OptionTable& required(std::string key, V T::*member, Bound bound, std::string doc) {
    return add(std::move(key), member, RuleFor<V>::make(std::move(bound)), std::move(doc), true);
  }
  template <typename V>
  OptionTable& required(std::string key, V T::*member, Rule<V> rule, std::string doc) {
    return add(std::move(key), member, std::move(rule), std::move(doc), true);
  }
  template <typename V>
  OptionTable& required(std::string key, V T::*member, std::string doc) {
    return required(std::move(key), member, Anything{}, std::move(doc));
  }
  // An option that keeps the default of T when it isn't given.
  template <typename V, typename Bound>
  OptionTable& optional(std::string key, V T::*member, Bound bound, std::string doc) {
    return add(std::move(key), member, RuleFor<V>::make(std::move(bound)), std::move(doc), false);
  }
  template <typename V>
  OptionTable& optional(std::string key, V T::*member, Rule<V> rule, std::string doc) {
    return add(std::move(key), member, std::move(rule), std::move(doc), false);
  }
  template <typename V>
  OptionTable& optional(std::string key, V T::*member, std::string doc) {
    return optional(std::move(key), member, Anything{}, std::move(doc));
  }
  // A struct within the struct, with a table of its own. May be left out when the table requires nothing.
  template <typename V>
  OptionTable& group(std::string key, V T::*member, const OptionTable<V>& table, std::string doc);

  // What only several options together can break. Runs when each is right by itself.
  OptionTable& check(std::function<void(const T&, Problems&)> check) {
    checks_.push_back(std::move(check));
    return *this;
  }

  tl::expected<T, Problems> parse(const Json& with) const {
    T options{};
    Problems problems;
    read(with, "", options, problems);
    if (problems.empty()) run_checks("", options, problems);
    if (!problems.empty()) return tl::unexpected<Problems>(std::move(problems));
    return options;
  }

  // All options with their values; parse(to_json(x)) gives x.
  Json to_json(const T& options) const {
    Json json = Json::object();
    for (const Field& field : fields_) json[field.key] = field.write(options);
    return json;
  }

  // Without options that have their defaults; parse() gives x as well.
  Json changed_json(const T& options) const {
    Json json = Json::object();
    for (const Field& field : fields_) {
      if (auto value = field.write_changed(options)) json[field.key] = *std::move(value);
    }
    return json;
  }

  Json json_schema() const {
    Json schema{{"type", "object"}, {"additionalProperties", false}, {"properties", Json::object()}};
    Json required = Json::array();
    for (const Field& field : fields_) {
      Json property = field.schema;
      property["description"] = field.doc;
      if (field.is_required)
        required.push_back(field.key);
      else if (!field.is_group)
        property["default"] = field.write(T{});
      schema["properties"][field.key] = std::move(property);
    }
    if (!required.empty()) schema["required"] = std::move(required);
    return schema;
  }

  std::vector<std::string> keys() const {
    std::vector<std::string> keys;
    for (const Field& field : fields_) keys.push_back(field.key);
    return keys;
  }

 private:
  template <typename>
  friend class OptionTable;

  struct Field {
    std::string key;
    std::string doc;
    std::string allowed;
    Json schema;
    bool is_required = false;
    bool is_group = false;
    std::function<void(const Json&, const std::string& path, T&, Problems&)> read;
    std::function<Json(const T&)> write;
    std::function<std::optional<Json>(const T&)> write_changed;               // nothing: it has its default
    std::function<void(const std::string& path, const T&, Problems&)> check;  // groups only
  };

  template <typename V>
  OptionTable& add(std::string key, V T::*member, Rule<V> rule, std::string doc, bool is_required) {
    Field field{
        std::move(key), std::move(doc), rule.allowed, rule.schema, is_required, false, {}, {}, {}, {}};
    field.read = [member, rule](const Json& json, const std::string& path, T& options, Problems& problems) {
      if (auto value = rule.read(json))
        options.*member = *std::move(value);
      else
        problems.push_back({path, "is " + shown(json) + ", must be " + rule.allowed});
    };
    field.write = [member, write = rule.write](const T& options) { return write(options.*member); };
    field.write_changed = [member, write = rule.write, is_required,
                           usual = T{}.*member](const T& options) -> std::optional<Json> {
      if (!is_required && options.*member == usual) return std::nullopt;
      return write(options.*member);
    };
    fields_.push_back(std::move(field));
    return *this;
  }

  void read(const Json& with, const std::string& path, T& options, Problems& problems) const {
    if (!with.is_object()) {
      problems.push_back({path, "is " + shown(with) + ", must be a map with the keys " + enumerate(keys())});
      return;
    }
    std::set<std::string> given;
    for (const auto& [key, value] : with.items()) {
      const Field* field = find(key);
      if (field == nullptr) {
        problems.push_back({join_path(path, key), unknown_key_message(key, keys())});
        continue;
      }
      given.insert(key);
      field->read(value, join_path(path, key), options, problems);
    }
    for (const Field& field : fields_) {
      if (!field.is_required || given.contains(field.key)) continue;
      problems.push_back(
          {join_path(path, field.key), "is missing, must be " + field.allowed + " (" + field.doc + ")"});
    }
  }

  void run_checks(const std::string& path, const T& options, Problems& problems) const {
    for (const Field& field : fields_) {
      if (field.check) field.check(join_path(path, field.key), options, problems);
    }
    Problems own;
    for (const auto& check : checks_) check(options, own);
    for (Problem& problem : own)
      problems.push_back({join_path(path, problem.path), std::move(problem.message)});
  }

  const Field* find(std::string_view key) const {
    for (const Field& field : fields_) {
      if (field.key == key) return &field;
    }
    return nullptr;
  }

  std::vector<Field> fields_;
  std::vector<std::function<void(const T&, Problems&)>> checks_;
};

template <typename T>
template <typename V>
OptionTable<T>& OptionTable<T>::group(std::string key, V T::*member, const OptionTable<V>& table,
                                      std::string doc) {
  const auto inner = std::make_shared<const OptionTable<V>>(table);
  Field field{std::move(key),
              std::move(doc),
              "a map with the keys " + enumerate(inner->keys()),
              inner->json_schema(),
              false,
              true,
              {},
              {},
              {},
              {}};
  for (const auto& option : inner->fields_) field.is_required = field.is_required || option.is_required;
  field.read = [member, inner](const Json& json, const std::string& path, T& options, Problems& problems) {
    inner->read(json, path, options.*member, problems);
  };
  field.write = [member, inner](const T& options) { return inner->to_json(options.*member); };
  field.write_changed = [member, inner](const T& options) -> std::optional<Json> {
    Json changed = inner->changed_json(options.*member);
    return changed.empty() ? std::nullopt : std::optional(std::move(changed));
  };
  field.check = [member, inner](const std::string& path, const T& options, Problems& problems) {
    inner->run_checks(path, options.*member, problems);
  };
  fields_.push_back(std::move(field));
  return *this;
}

}  // namespace paddock::spec
