// worker/descendants.h – who lives below a process, by /proc, whatever its session or process group.
// Threads: any. The list is a snapshot: who kills by it asks again until nobody is left (processes fork
// meanwhile).
#pragma once

#include <sys/types.h>

#include <vector>

namespace paddock::worker {

// Parents before children; without `root` itself.
std::vector<pid_t> descendants_of(pid_t root);
// Only the direct children.
std::vector<pid_t> children_of(pid_t root);

}  // namespace paddock::worker
