// jobs/evaluate/one_thread.h – LibTorch on one thread a caller, while it lives.
// Evaluation shares pictures out to threads of its own instead: no barrier waits for a core that something else is using,
// and sums do not depend on the number of cores. Threads: made by one thread before the others begin, ended after them.
#pragma once

#include <ATen/Parallel.h>

namespace paddock::evaluate {

class OneThread {
 public:
  OneThread() { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  const int before_ = at::get_num_threads();
};

}  // namespace paddock::evaluate
