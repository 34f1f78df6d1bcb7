#include "storage/json_fields.h"

namespace paddock::storage {

using nlohmann::json;

JsonFields::JsonFields(const json& object) : object_(object) {
  if (!object.is_object()) wrong_ = "an entry that is not an object";
}

std::uint64_t JsonFields::number(const char* key) {
  const json* value = find(key);
  if (value != nullptr && value->is_number_unsigned()) return value->get<std::uint64_t>();
  missing(key, "a whole number");
  return 0;
}

std::string JsonFields::text(const char* key) {
  const json* value = find(key);
  if (value != nullptr && value->is_string()) return value->get<std::string>();
  missing(key, "a string");
  return {};
}

const json& JsonFields::list(const char* key) {
  static const json kNone = json::array();
  const json* value = find(key);
  if (value != nullptr && value->is_array()) return *value;
  missing(key, "a list");
  return kNone;
}

const json& JsonFields::object(const char* key) {
  static const json kNone = json::object();
  const json* value = find(key);
  if (value != nullptr && value->is_object()) return *value;
  missing(key, "an object");
  return kNone;
}

const json* JsonFields::find(const char* key) const {
  const auto found = object_.find(key);
  return found == object_.end() ? nullptr : &*found;
}

void JsonFields::missing(const char* key, const char* kind) {
  if (wrong_.empty()) wrong_ = std::string("a field \"") + key + "\" that is missing or not " + kind;
}

Result<void> JsonFields::result() const {
  if (wrong_.empty()) return {};
  return fail(Code::kCorrupt, "it has " + wrong_);
}

}  // namespace paddock::storage
