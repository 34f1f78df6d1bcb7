// storage/patience.h – reading again what a disk may give a moment later. A network file system answers EIO,
// ESTALE or EAGAIN while a server comes back: kUnavailable (disk.h), and nothing else is tried again: a file
// that is missing, denied or damaged stays so. Threads: as what is called.
#pragma once

#include <chrono>
#include <thread>

#include "base/result.h"

namespace paddock::storage {

struct Patience {
  int retries = 3;
  // Before the first retry; each later pause is four times longer: some five seconds in all.
  std::chrono::milliseconds pause{250};
};

// The result of `read()`, called again while it is kUnavailable and retries are left. `on_retry()` before
// each.
template <typename Read, typename OnRetry>
auto read_patiently(const Patience& patience, const Read& read, const OnRetry& on_retry) -> decltype(read()) {
  std::chrono::milliseconds pause = patience.pause;
  for (int left = patience.retries;; --left, pause *= 4) {
    auto result = read();
    if (result || result.error().code != Code::kUnavailable || left <= 0) return result;
    on_retry();
    std::this_thread::sleep_for(pause);
  }
}

}  // namespace paddock::storage
