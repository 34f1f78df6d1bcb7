// coordinator/record.h – values as compact bytes and back, for what is read by nobody but us: snapshots and the
// archive. A struct is its fields in a fixed order, behind its length: fields are only ever appended, a reader
// passes over those that it does not know and leaves at their default those that were not written.
//
// A struct takes part by a function `fields(archive, value)` found beside its type's or the archive's namespace
// (coordinator/cluster_record.cpp): one list serves both directions. Threads: one owner. Errors: a reader
// remembers that something was wrong; every later value reads as its default.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/ids.h"
#include "base/time.h"
#include "scheduler/shared.h"

namespace paddock::coordinator {

class RecordWriter {
 public:
  static constexpr bool kReads = false;

  explicit RecordWriter(std::string& bytes) : bytes_(bytes) {}

  template <typename... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }

 private:
  template <std::integral T>
  void put(T value) {
    if constexpr (std::signed_integral<T>) {  // small negatives stay small
      const auto wide = static_cast<std::int64_t>(value);
      put_number((static_cast<std::uint64_t>(wide) << 1) ^ static_cast<std::uint64_t>(wide >> 63));
    } else {
      put_number(value);
    }
  }
  template <typename T>
  requires std::is_enum_v<T>
  void put(T value) { put_number(static_cast<std::uint64_t>(value)); }
  void put(const std::string& text) {
    put_number(text.size());
    bytes_ += text;
  }
  template <typename Tag, typename Value>
  void put(const Id<Tag, Value>& id) {
    put(id.value);
  }
  void put(const Instant& at) { put(at.ms); }
  void put(const WallTime& at) { put(at.unix_ms); }
  void put(const Millis& time) { put(static_cast<std::int64_t>(time.count())); }
  template <typename T>
  void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <typename A, typename B>
  void put(const std::pair<A, B>& pair) {
    put(pair.first);
    put(pair.second);
  }
  template <typename T>
  void put(const scheduler::Shared<T>& shared) {
    put(*shared);
  }
  template <typename T>
  void put(const std::vector<T>& list) {
    put_all(list);
  }
  template <typename T>
  void put(const std::set<T>& set) {
    put_all(set);
  }
  template <typename K, typename V>
  void put(const std::map<K, V>& map) {
    put_all(map);
  }
  template <typename T>
  requires std::is_class_v<T>
  void put(const T& value) {
    const std::size_t at = bytes_.size();
    bytes_.append(sizeof(std::uint32_t), '\0');
    fields(*this, value);
    const std::size_t size = bytes_.size() - at - sizeof(std::uint32_t);
    PADDOCK_CHECK(size <= std::numeric_limits<std::uint32_t>::max(), size);
    const auto length = static_cast<std::uint32_t>(size);
    std::memcpy(bytes_.data() + at, &length, sizeof length);
  }

  template <typename Many>
  void put_all(const Many& many) {
    put_number(many.size());
    for (const auto& each : many) put(each);
  }
  void put_number(std::uint64_t number) {
    for (; number >= 0x80; number >>= 7) bytes_ += static_cast<char>(number | 0x80);
    bytes_ += static_cast<char>(number);
  }

  std::string& bytes_;
};

class RecordReader {
 public:
  static constexpr bool kReads = true;

  explicit RecordReader(std::string_view bytes) : bytes_(bytes) {}

  template <typename... T>
  void operator()(T&... values) {
    (take_field(values), ...);
  }

  bool is_good() const { return is_good_; }
  bool is_at_end() const { return bytes_.empty(); }

 private:
  // The end of a struct is the end of what its writer knew.
  template <typename T>
  void take_field(T& value) {
    if (is_good_ && !bytes_.empty()) take(value);
  }

  template <std::integral T>
  void take(T& value) {
    const std::uint64_t number = take_number();
    if constexpr (std::same_as<T, bool>) {
      value = number != 0;
      is_good_ = is_good_ && number <= 1;
    } else if constexpr (std::signed_integral<T>) {
      const auto wide = static_cast<std::int64_t>((number >> 1) ^ (~(number & 1) + 1));
      value = static_cast<T>(wide);
      is_good_ = is_good_ && std::in_range<T>(wide);
    } else {
      value = static_cast<T>(number);
      is_good_ = is_good_ && std::in_range<T>(number);
    }
  }
  template <typename T>
  requires std::is_enum_v<T>
  void take(T& value) { value = static_cast<T>(take_number()); }
  void take(std::string& text) { text = take_bytes(take_number()); }
  template <typename Tag, typename Value>
  void take(Id<Tag, Value>& id) {
    take(id.value);
  }
  void take(Instant& at) { take(at.ms); }
  void take(WallTime& at) { take(at.unix_ms); }
  void take(Millis& time) {
    std::int64_t ms = 0;
    take(ms);
    time = Millis(ms);
  }
  template <typename T>
  void take(std::optional<T>& value) {
    bool is_there = false;
    take(is_there);
    if (is_there) take(value.emplace());
  }
  template <typename A, typename B>
  void take(std::pair<A, B>& pair) {
    take(pair.first);
    take(pair.second);
  }
  template <typename T>
  void take(scheduler::Shared<T>& shared) {
    T value;
    take(value);
    shared = std::move(value);
  }
  template <typename T>
  void take(std::vector<T>& list) {
    for (std::uint64_t left = take_count(); left > 0 && is_good_; --left) take(list.emplace_back());
  }
  template <typename T>
  void take(std::set<T>& set) {
    for (std::uint64_t left = take_count(); left > 0 && is_good_; --left) {
      T value{};
      take(value);
      set.insert(set.end(), std::move(value));
    }
  }
  template <typename K, typename V>
  void take(std::map<K, V>& map) {
    for (std::uint64_t left = take_count(); left > 0 && is_good_; --left) {
      K key{};
      take(key);
      take(map.emplace_hint(map.end(), std::move(key), V{})->second);
    }
  }
  template <typename T>
  requires std::is_class_v<T>
  void take(T& value) {
    std::uint32_t length = 0;
    const std::string_view raw = take_bytes(sizeof length);
    if (!is_good_) return;
    std::memcpy(&length, raw.data(), sizeof length);
    RecordReader inner(take_bytes(length));
    if (is_good_) fields(inner, value);
    is_good_ = is_good_ && inner.is_good_;
  }

  // Of things that take a byte at least, so that a damaged count cannot ask for more than there is.
  std::uint64_t take_count() {
    const std::uint64_t count = take_number();
    is_good_ = is_good_ && count <= bytes_.size();
    return is_good_ ? count : 0;
  }
  std::uint64_t take_number() {
    std::uint64_t number = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (bytes_.empty()) break;
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      number |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return number;
    }
    is_good_ = false;
    return 0;
  }
  std::string_view take_bytes(std::uint64_t length) {
    if (!is_good_ || length > bytes_.size()) {
      is_good_ = false;
      return {};
    }
    const std::string_view taken = bytes_.substr(0, length);
    bytes_.remove_prefix(length);
    return taken;
  }

  std::string_view bytes_;
  bool is_good_ = true;
};

// The type of `value` in `fields(archive, value)`: const where the archive writes.
template <typename Archive, typename T>
using Recorded = std::conditional_t<Archive::kReads, T, const T>;

}  // namespace paddock::coordinator
