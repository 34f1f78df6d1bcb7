// storage/json_fields.h – reads the fields of one JSON object and remembers the first that is not as it must
// be, so that a reader of a format stays flat: take every field, then ask result() once. Threads: a value on
// the stack of its reader.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.h"

namespace paddock::storage {

class JsonFields {
 public:
  // `object` must outlive this. Anything that is not an object fails in result().
  explicit JsonFields(const nlohmann::json& object);

  // A field of that kind, or an empty value of it.
  std::uint64_t number(const char* key);
  std::string text(const char* key);
  const nlohmann::json& list(const char* key);
  const nlohmann::json& object(const char* key);
  // nullptr when there is none.
  const nlohmann::json* find(const char* key) const;

  // Notes that the field is not `kind`; the first note counts.
  void missing(const char* key, const char* kind);
  // kCorrupt: what the first missing() said.
  Result<void> result() const;

 private:
  const nlohmann::json& object_;
  std::string wrong_;
};

}  // namespace paddock::storage
