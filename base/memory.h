// base/memory.h – how a program that makes the same large buffers again and again keeps what it frees.
// Threads: before there are any.
#pragma once

#include <malloc.h>

#include <cstdlib>
#include <limits>

namespace paddock {

// Freed memory stays with the process, so that it need not be faulted in and zeroed again: no block is mapped on its own
// (a threshold would not do: above 32 MiB glibc ignores it), and nothing at the end of the heap is given back. LibTorch's
// large blocks get huge pages where the system leaves that to programs.
inline void keep_freed_memory() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TOP_PAD, 64 << 20);
  setenv("THP_MEM_ALLOC_ENABLE", "1", 0);
}

}  // namespace paddock
