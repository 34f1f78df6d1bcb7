#include "base/result.h"

#include "base/check.h"

namespace paddock {

std::string_view name_of(Code code) {
  switch (code) {
    case Code::kInvalid:
      return "invalid";
    case Code::kNotFound:
      return "not_found";
    case Code::kConflict:
      return "conflict";
    case Code::kFenced:
      return "fenced";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kExhausted:
      return "exhausted";
    case Code::kCorrupt:
      return "corrupt";
    case Code::kDenied:
      return "denied";
    case Code::kCancelled:
      return "cancelled";
  }
  PADDOCK_CHECK(false, static_cast<int>(code));
  return {};
}

Error Error::within(std::string_view doing) const {
  std::string text(doing);
  text += ": ";
  text += message;
  return Error{code, std::move(text)};
}

}  // namespace paddock
