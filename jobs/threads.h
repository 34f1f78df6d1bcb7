// jobs/threads.h – how many threads this rank may keep busy.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <thread>

namespace paddock::jobs {

// OMP_NUM_THREADS, which the worker sets to the rank's cores; by hand, without it, all of the machine's.
inline int threads_of_this_rank() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  const int given = text == nullptr ? 0 : std::atoi(text);
  return given > 0 ? given : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

}  // namespace paddock::jobs
