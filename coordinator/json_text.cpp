#include "coordinator/json_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace paddock::coordinator {
namespace {

bool is_plain(char letter) {
  return letter >= 0x20 && letter < 0x7F && letter != '"' && letter != '\\';
}

}  // namespace

void JsonText::put(std::string_view text) {
  if (std::ranges::all_of(text, is_plain)) {
    text_ += '"';
    text_ += text;
    text_ += '"';
    return;
  }
  // Texts from the wire are UTF-8; anything else is replaced, never thrown at.
  text_ += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace paddock::coordinator
