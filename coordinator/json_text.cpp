#include "coordinator/json_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace paddock::coordinator {
namespace {

bool is_ascii_text(char letter) {
  return letter >= 0x20 && letter < 0x7F;
}

}  // namespace

void JsonText::put(std::string_view text) {
  if (!std::ranges::all_of(text, is_ascii_text)) {
    // Texts from the wire are UTF-8; anything else is replaced, never thrown at.
    text_ += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    return;
  }
  text_ += '"';
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') text_ += '\\';
    text_ += letter;
  }
  text_ += '"';
}

}  // namespace paddock::coordinator
