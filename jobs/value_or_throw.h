// jobs/value_or_throw.h – the border between the control side's Result<T> and the compute side's exceptions.
// kInvalid and kNotFound of something the options named become std::invalid_argument (the options are wrong:
// not retried), everything else std::runtime_error (the world's fault: another attempt may help). Threads:
// pure functions.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

#include "base/result.h"

namespace paddock::jobs {

[[noreturn]] inline void throw_error(const Error& error, std::string_view doing) {
  const std::string message = error.within(doing).message;
  if (error.code == Code::kInvalid || error.code == Code::kNotFound) throw std::invalid_argument(message);
  throw std::runtime_error(message);
}

// `const auto set = value_or_throw(ShardSet::open(disk, dir), "opening the dataset");`
template <typename T>
T value_or_throw(Result<T> result, std::string_view doing) {
  if (!result) throw_error(result.error(), doing);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace paddock::jobs
