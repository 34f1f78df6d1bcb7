// jobs/parallel_for.h – the same function over 0..n-1, shared out to threads.
// For work whose results are placed by index: then they do not depend on the number of threads.
// Throws what the first failing call (lowest index among those run) threw, after all threads have stopped.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace paddock::jobs {

// Calls `work(index)` once for each index in [0, n) on at most `threads` threads; `work` is called from
// several at once.
template <typename Work>
void parallel_for(std::size_t n, int threads, const Work& work) {
  std::atomic<std::size_t> next{0};
  std::mutex mutex;
  std::exception_ptr failure;
  std::size_t failed_at = n;
  const auto run = [&] {
    for (std::size_t index = next++; index < n; index = next++) {
      try {
        work(index);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (index < failed_at) {
          failed_at = index;
          failure = std::current_exception();
        }
        next = n;
      }
    }
  };
  std::vector<std::thread> helpers;
  const auto wanted = static_cast<std::size_t>(std::max(1, threads));
  for (std::size_t i = 1; i < std::min(wanted, n); ++i) helpers.emplace_back(run);
  run();
  for (std::thread& helper : helpers) helper.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace paddock::jobs
