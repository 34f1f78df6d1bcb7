// base/check.h – claims about our own code, kept on in release builds.
// PADDOCK_CHECK: an invariant of ours is broken; PADDOCK_REQUIRE: the caller broke the contract. Both print the condition
// and the values given, then abort: a process that no longer knows its own state must not go on (crash-only).
#pragma once

#include <sstream>
#include <string>

namespace paddock {

[[noreturn]] void check_failed(const char* kind, const char* file, int line, const char* condition,
                               const std::string& values);

namespace detail {
template <typename... Values>
std::string describe_values(const Values&... values) {
  std::ostringstream out;
  ((out << ' ' << values), ...);
  return out.str();
}
}  // namespace detail

}  // namespace paddock

#define PADDOCK_CLAIM(kind, condition, ...)                                     \
  do {                                                                          \
    if (!(condition)) [[unlikely]]                                              \
      ::paddock::check_failed(kind, __FILE__, __LINE__, #condition,             \
                              ::paddock::detail::describe_values(__VA_ARGS__)); \
  } while (false)

#define PADDOCK_CHECK(condition, ...) PADDOCK_CLAIM("broken invariant", condition, __VA_ARGS__)
#define PADDOCK_REQUIRE(condition, ...) PADDOCK_CLAIM("broken contract", condition, __VA_ARGS__)
