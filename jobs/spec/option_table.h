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

#include <algorithm>
#include <functional>
#include <map>
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

// Structs by name within T, and the options of T that they stand for.
template <typename T, typename V>
struct NamedGroups {
  Rule<std::string> name;  // of each
  std::size_t count_max = 0;
  std::vector<std::string> instead_of;  // options that must not be given beside them
  std::vector<std::string> over;        // options that say what `begin` begins with
  std::function<V(const T&)> begin;     // a struct before its own keys are read: all but they is read already
};

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

  // Structs by name within the struct, each with the table. When there are none, they are left out of to_json();
  // when there are any, what they stand for is.
  template <typename V>
  OptionTable& groups(std::string key, std::map<std::string, V> T::*member, const OptionTable<V>& table,
                      NamedGroups<T, V> about, std::string doc);
  // The options of a member's table as options of this one.
  template <typename V>
  OptionTable& include(V T::*member, const OptionTable<V>& table);

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
    for (const Field& field : fields_) {
      if (!is_left_out(field, options)) json[field.key] = field.write(options);
    }
    return json;
  }

  // Without options that have their defaults; parse() gives x as well.
  Json changed_json(const T& options) const {
    Json json = Json::object();
    for (const Field& field : fields_) {
      if (is_left_out(field, options)) continue;
      if (!field.write_changed)
        json[field.key] = field.write(options);
      else if (auto value = field.write_changed(options))
        json[field.key] = *std::move(value);
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
    for (const auto& [key, other] : alternatives())
      schema["allOf"].push_back({{"not", {{"required", {key, other}}}}});
    return schema;
  }

  // Pairs of keys that must not both be given.
  std::vector<std::pair<std::string, std::string>> alternatives() const {
    std::vector<std::pair<std::string, std::string>> pairs;
    for (const Field& field : fields_) {
      for (const std::string& other : field.instead_of) pairs.emplace_back(field.key, other);
    }
    return pairs;
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
    std::function<std::optional<Json>(const T&)>
        write_changed;  // nothing: it has its default; unset: it is written
    std::function<void(const std::string& path, const T&, Problems&)> check;  // groups only
    // Groups by name only.
    std::function<bool(const T&)> is_empty;
    std::vector<std::string> instead_of, over;
  };

  template <typename V>
  OptionTable& add(std::string key, V T::*member, Rule<V> rule, std::string doc, bool is_required) {
    Field field;
    field.key = std::move(key);
    field.doc = std::move(doc);
    field.allowed = rule.allowed;
    field.schema = rule.schema;
    field.is_required = is_required;
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
    std::vector<std::pair<const Field*, const Json*>> last;  // that begin with what others say
    for (const auto& [key, value] : with.items()) {
      const Field* field = find(key);
      if (field == nullptr) {
        problems.push_back({join_path(path, key), unknown_key_message(key, keys())});
        continue;
      }
      given.insert(key);
      if (field->is_empty)
        last.emplace_back(field, &value);
      else
        field->read(value, join_path(path, key), options, problems);
    }
    for (const auto& [field, value] : last)
      field->read(*value, join_path(path, field->key), options, problems);
    for (const auto& [key, other] : alternatives()) {
      if (given.contains(key) && given.contains(other))
        problems.push_back(
            {join_path(path, key), "stands beside `" + other + "`, must be given instead of it"});
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

  bool is_left_out(const Field& field, const T& options) const {
    if (field.is_empty) return field.is_empty(options);
    for (const Field& other : fields_) {
      if (!other.is_empty || other.is_empty(options)) continue;
      for (const auto* keys : {&other.instead_of, &other.over}) {
        if (std::find(keys->begin(), keys->end(), field.key) != keys->end()) return true;
      }
    }
    return false;
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
  Field field;
  field.key = std::move(key);
  field.doc = std::move(doc);
  field.allowed = "a map with the keys " + enumerate(inner->keys());
  field.schema = inner->json_schema();
  field.is_group = true;
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

template <typename T>
template <typename V>
OptionTable<T>& OptionTable<T>::groups(std::string key, std::map<std::string, V> T::*member,
                                       const OptionTable<V>& table, NamedGroups<T, V> about,
                                       std::string doc) {
  const auto inner = std::make_shared<const OptionTable<V>>(table);
  Field field;
  field.key = std::move(key);
  field.doc = std::move(doc);
  field.allowed = "a map from 1 to " + std::to_string(about.count_max) + " names (" + about.name.allowed +
                  ") to maps with the keys " + enumerate(inner->keys());
  field.schema = Json{{"type", "object"},
                      {"minProperties", 1},
                      {"maxProperties", about.count_max},
                      {"propertyNames", about.name.schema},
                      {"additionalProperties", inner->json_schema()}};
  field.is_group = true;
  field.is_empty = [member](const T& options) { return (options.*member).empty(); };
  field.instead_of = about.instead_of;
  field.over = about.over;
  field.read = [member, inner, about, allowed = field.allowed](const Json& json, const std::string& path,
                                                               T& options, Problems& problems) {
    if (!json.is_object() || json.empty() || json.size() > about.count_max) {
      problems.push_back({path, "is " + shown(json) + ", must be " + allowed});
      return;
    }
    for (const auto& [name, given] : json.items()) {
      if (!about.name.read(name)) {
        problems.push_back({path, "has the name " + shown(name) + ", must be " + about.name.allowed});
        continue;
      }
      V& value = (options.*member)[name] = about.begin(options);
      inner->read(given, join_path(path, name), value, problems);
    }
  };
  field.write = [member, inner](const T& options) {
    Json json = Json::object();
    for (const auto& [name, value] : options.*member) json[name] = inner->to_json(value);
    return json;
  };
  field.check = [member, inner](const std::string& path, const T& options, Problems& problems) {
    for (const auto& [name, value] : options.*member)
      inner->run_checks(join_path(path, name), value, problems);
  };
  fields_.push_back(std::move(field));
  return *this;
}

template <typename T>
template <typename V>
OptionTable<T>& OptionTable<T>::include(V T::*member, const OptionTable<V>& table) {
  for (const auto& inner : table.fields_) {
    Field field;
    field.key = inner.key;
    field.doc = inner.doc;
    field.allowed = inner.allowed;
    field.schema = inner.schema;
    field.is_required = inner.is_required;
    field.is_group = inner.is_group;
    field.read = [member, read = inner.read](const Json& json, const std::string& path, T& options,
                                             Problems& problems) {
      read(json, path, options.*member, problems);
    };
    field.write = [member, write = inner.write](const T& options) { return write(options.*member); };
    if (inner.check) {
      field.check = [member, check = inner.check](const std::string& path, const T& options,
                                                  Problems& problems) {
        check(path, options.*member, problems);
      };
    }
    fields_.push_back(std::move(field));
  }
  for (const auto& check : table.checks_) {
    checks_.push_back(
        [member, check](const T& options, Problems& problems) { check(options.*member, problems); });
  }
  return *this;
}

}  // namespace paddock::spec
