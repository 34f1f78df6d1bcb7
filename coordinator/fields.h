// coordinator/fields.h – reads the fields of a JSON record, remembering the first thing that is wrong instead
// of throwing. Threads: one owner.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace paddock::coordinator {

// The one of `all` that is called so.
template <typename Enum, std::size_t N>
std::optional<Enum> named(std::string_view name, const std::array<Enum, N>& all) {
  for (const Enum each : all) {
    if (name_of(each) == name) return each;
  }
  return std::nullopt;
}

class Fields {
 public:
  // `problem` is set once; every later field reads as its default. Both are not owned and outlive this.
  Fields(const nlohmann::json& json, std::string& problem) : json_(json), problem_(problem) {
    if (!json.is_object()) complain("the record is not an object");
  }

  // `fields.read("name", event.name)`: the field must be there and have the type of `to`.
  template <typename T>
  void read(const char* key, T& to) {
    const auto found = json_.find(key);
    if (!json_.is_object() || found == json_.end())
      return complain(std::string("field ") + key + " is missing");
    if (!take(*found, to)) complain(std::string("field ") + key + " has the wrong type");
  }

  // One of `all`, by its name.
  template <typename Enum, std::size_t N>
  void read_name(const char* key, Enum& to, const std::array<Enum, N>& all) {
    std::string text;
    read(key, text);
    if (const auto known = named(text, all))
      to = *known;
    else
      complain(std::string("field ") + key + " is '" + text +
               "', which is not known; a newer version wrote it");
  }

  // As read(), but a record without the field, which an older version wrote, leaves `to` as it is.
  template <typename T>
  void read_if_there(const char* key, T& to) {
    if (json_.is_object() && json_.contains(key)) read(key, to);
  }

  // `each(key, text)` for every entry of the map of texts `key`, if it is there.
  template <typename Each>
  void read_map_if_there(const char* key, Each each) {
    const auto found = json_.find(key);
    if (!json_.is_object() || found == json_.end()) return;
    if (!found->is_object()) return complain(std::string("field ") + key + " is no map");
    for (const auto& [name, value] : found->items()) {
      if (!value.is_string())
        return complain(std::string("field ") + key + "." + name + " has the wrong type");
      each(name, value.template get<std::string>());
    }
  }

  // Every element of the list `key` is an object that `each(Fields&, T&)` reads.
  template <typename T, typename Each>
  void read_list(const char* key, std::vector<T>& to, Each each) {
    const auto found = json_.find(key);
    if (!json_.is_object() || found == json_.end() || !found->is_array()) {
      return complain(std::string("field ") + key + " is no list");
    }
    for (const nlohmann::json& element : *found) {
      Fields fields(element, problem_);
      each(fields, to.emplace_back());
    }
  }

  template <typename Each>
  void read_object(const char* key, Each each) {
    static const nlohmann::json kNothing = nlohmann::json::object();
    const auto found = json_.find(key);
    const bool is_there = json_.is_object() && found != json_.end();
    if (!is_there) complain(std::string("field ") + key + " is missing");
    Fields fields(is_there ? *found : kNothing, problem_);
    each(fields);
  }

  const nlohmann::json& json() const { return json_; }
  void complain(std::string what) {
    if (problem_.empty()) problem_ = std::move(what);
  }

 private:
  bool take(const nlohmann::json& from, bool& to) {
    if (!from.is_boolean()) return false;
    to = from.get<bool>();
    return true;
  }
  bool take(const nlohmann::json& from, std::string& to) {
    if (!from.is_string()) return false;
    to = from.get<std::string>();
    return true;
  }
  template <std::integral Number>
  bool take(const nlohmann::json& from, Number& to) {
    if (!from.is_number_integer()) return false;
    if (from.is_number_unsigned()) {
      const auto value = from.get<std::uint64_t>();
      if (!std::in_range<Number>(value)) return false;
      to = static_cast<Number>(value);
    } else {
      const auto value = from.get<std::int64_t>();
      if (!std::in_range<Number>(value)) return false;
      to = static_cast<Number>(value);
    }
    return true;
  }
  template <typename Tag, typename Value>
  bool take(const nlohmann::json& from, Id<Tag, Value>& to) {
    return take(from, to.value);
  }
  bool take(const nlohmann::json& from, WallTime& to) { return take(from, to.unix_ms); }
  bool take(const nlohmann::json& from, Instant& to) { return take(from, to.ms); }
  bool take(const nlohmann::json& from, Millis& to) {
    std::int64_t ms = 0;
    const bool is_number = take(from, ms);
    to = Millis(ms);
    return is_number;
  }
  template <typename T>
  bool take(const nlohmann::json& from, std::set<T>& to) {
    std::vector<T> list;
    if (!take(from, list)) return false;
    to = std::set<T>(list.begin(), list.end());
    return true;
  }
  template <typename T>
  bool take(const nlohmann::json& from, std::vector<T>& to) {
    if (!from.is_array()) return false;
    for (const nlohmann::json& element : from) {
      if (!take(element, to.emplace_back())) return false;
    }
    return true;
  }

  const nlohmann::json& json_;
  std::string& problem_;
};

}  // namespace paddock::coordinator
