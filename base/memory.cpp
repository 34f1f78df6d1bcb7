#include "base/memory.h"

#include <cstdlib>

// jemalloc reads this before main. What is freed is never given back; one arena, so that what one thread frees serves all.
extern "C" const char* malloc_conf;
const char* malloc_conf = "dirty_decay_ms:-1,muzzy_decay_ms:-1,narenas:1,metadata_thp:auto";

namespace paddock {

void keep_freed_memory() {
  setenv("THP_MEM_ALLOC_ENABLE", "1", 0);
}

}  // namespace paddock
