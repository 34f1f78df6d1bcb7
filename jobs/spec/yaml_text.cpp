#include "jobs/spec/yaml_text.h"

#include <set>

namespace paddock::spec {
namespace {

bool is_plain(const std::string& text) {
  static const std::set<std::string> kMeaning = {"null", "Null",  "NULL",  "true", "True",
                                                 "TRUE", "false", "False", "FALSE"};
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (text.empty() || !is_letter(text.front()) || kMeaning.contains(text)) return false;
  for (const char c : text) {
    const bool is_digit = c >= '0' && c <= '9';
    if (!is_letter(c) && !is_digit && c != '_' && c != '-' && c != '.' && c != '/') return false;
  }
  return true;
}

// On one line. JSON in quotes is YAML too.
std::string in_one_line(const Json& value) {
  if (value.is_string() && is_plain(value.get_ref<const std::string&>())) return value.get<std::string>();
  if (value.is_array()) {
    std::string text;
    for (const Json& element : value) text += (text.empty() ? "" : ", ") + in_one_line(element);
    return "[" + text + "]";
  }
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string to_yaml(const Json& map, int indent) {
  const std::string margin(static_cast<std::size_t>(indent), ' ');
  if (!map.is_object() || map.empty()) return margin + in_one_line(map) + "\n";
  std::string text;
  for (const auto& [key, value] : map.items()) {
    text += margin + in_one_line(Json(key)) + ":";
    if (value.is_object() && !value.empty())
      text += "\n" + to_yaml(value, indent + 2);
    else
      text += " " + in_one_line(value) + "\n";
  }
  return text;
}

}  // namespace paddock::spec
