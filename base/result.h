// base/result.h – how the control side says that something failed: Result<T>, never an exception.
// A code says what the caller should do; the message is one sentence for an operator: what, where, what to do.
// Threads: values, like any other.
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace paddock {

enum class Code {
  kInvalid,      // fix the request
  kNotFound,     // nothing has that name
  kConflict,     // read again and decide
  kFenced,       // stop: a newer attempt owns this
  kUnavailable,  // retry with backoff
  kExhausted,    // wait, or raise the limit
  kCorrupt,      // take the copy before
  kDenied,       // not yours
  kCancelled,    // somebody asked for it to stop
};

// The code as users and logs see it: "invalid", "not_found", …
std::string_view name_of(Code code);

struct [[nodiscard]] Error {
  Code code = Code::kInvalid;
  std::string message;

  // The same error with "doing what: " in front.
  Error within(std::string_view doing) const;
};

template <typename T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> fail(Code code, std::string message) {
  return tl::unexpected<Error>(Error{code, std::move(message)});
}

}  // namespace paddock

#define PADDOCK_JOIN_(a, b) a##b
#define PADDOCK_JOIN(a, b) PADDOCK_JOIN_(a, b)

// Returns the error of `call`, with what we were doing in front of its message, from the enclosing function.
#define TRY(call, doing)                                                           \
  do {                                                                             \
    if (auto try_result = (call); !try_result)                                     \
      return ::tl::unexpected<::paddock::Error>(try_result.error().within(doing)); \
  } while (false)

// `TRY_ASSIGN(const auto bytes, read(path), "reading the manifest");`
#define TRY_ASSIGN(declaration, call, doing) \
  TRY_ASSIGN_(declaration, call, doing, PADDOCK_JOIN(try_assign_, __LINE__))
#define TRY_ASSIGN_(declaration, call, doing, name)                                 \
  auto name = (call);                                                               \
  if (!name) return ::tl::unexpected<::paddock::Error>(name.error().within(doing)); \
  declaration = *std::move(name)
