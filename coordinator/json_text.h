// coordinator/json_text.h – an object of a JSON text, written field by field without a tree in between: a turn may journal
// a hundred thousand jobs. What is read is parsed (fields.h). Threads: one owner.
#pragma once

#include <concepts>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace paddock::coordinator {

class JsonText {
 public:
  // Writes to the end of `text`, which is not owned; the object is complete when this is gone.
  explicit JsonText(std::string& text) : text_(text) { text_ += '{'; }
  ~JsonText() { text_ += '}'; }
  JsonText(const JsonText&) = delete;
  JsonText& operator=(const JsonText&) = delete;

  // Numbers, ids, times, texts, and lists, sets and maps of them.
  template <typename Value>
  JsonText& field(std::string_view key, const Value& value) {
    begin(key);
    put(value);
    return *this;
  }
  // `fill(JsonText&)` writes the fields of an object.
  template <typename Fill>
  JsonText& object(std::string_view key, Fill fill) {
    begin(key);
    JsonText inner(text_);
    fill(inner);
    return *this;
  }
  // `fill(JsonText&, element)` writes the fields of the object that stands for each element.
  template <typename Many, typename Fill>
  JsonText& list(std::string_view key, const Many& many, Fill fill) {
    begin(key);
    put_all(many, [&](const auto& each) {
      JsonText inner(text_);
      fill(inner, each);
    });
    return *this;
  }

 private:
  void begin(std::string_view key) {
    if (!is_empty_) text_ += ',';
    is_empty_ = false;
    put(key);
    text_ += ':';
  }
  void put(bool value) { text_ += value ? "true" : "false"; }
  template <std::integral Number>
  void put(Number number) {
    text_ += std::to_string(number);
  }
  void put(std::string_view text);
  void put(const std::string& text) { put(std::string_view(text)); }
  void put(const char* text) { put(std::string_view(text)); }
  template <typename Tag, typename Value>
  void put(const Id<Tag, Value>& id) {
    put(id.value);
  }
  void put(const Instant& at) { put(at.ms); }
  void put(const WallTime& at) { put(at.unix_ms); }
  void put(const Millis& time) { put(static_cast<std::int64_t>(time.count())); }
  template <typename T>
  void put(const std::vector<T>& list) {
    put_all(list, [&](const T& each) { put(each); });
  }
  template <typename T>
  void put(const std::set<T>& set) {
    put_all(set, [&](const T& each) { put(each); });
  }
  template <typename T>
  void put(const std::map<std::string, T>& map) {
    JsonText inner(text_);
    for (const auto& [key, value] : map) inner.field(key, value);
  }

  template <typename Many, typename Put>
  void put_all(const Many& many, Put put_one) {
    text_ += '[';
    bool is_first = true;
    for (const auto& each : many) {
      if (!is_first) text_ += ',';
      is_first = false;
      put_one(each);
    }
    text_ += ']';
  }

  std::string& text_;
  bool is_empty_ = true;
};

}  // namespace paddock::coordinator
