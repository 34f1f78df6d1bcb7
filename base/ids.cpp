#include "base/ids.h"

#include "base/limits.h"

namespace paddock {

bool is_name(std::string_view text) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return !text.empty() && text.size() <= limits::kNameBytesMax && text.front() != '.' &&
         text.find_first_not_of(kAllowed) == std::string_view::npos;
}

}  // namespace paddock
