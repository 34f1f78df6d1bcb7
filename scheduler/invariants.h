// scheduler/invariants.h – what must hold after every event, whatever happened. Tests and simulations ask
// after each. Threads: pure functions.
#pragma once

#include <string>
#include <vector>

#include "scheduler/cluster.h"

namespace paddock::scheduler {

// One sentence for each broken one; empty is good. They are numbered in invariants.cpp.
std::vector<std::string> check_invariants(const Cluster& cluster);

}  // namespace paddock::scheduler
