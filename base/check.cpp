#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace paddock {

void check_failed(const char* kind, const char* file, int line, const char* condition,
                  const std::string& values) {
  std::fprintf(stderr, "%s:%d: %s: %s%s%s\n", file, line, kind, condition, values.empty() ? "" : " with",
               values.c_str());
  std::abort();
}

}  // namespace paddock
