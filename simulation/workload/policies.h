// simulation/workload/policies.h – when each job of a workload starts: by first come first served, by EASY, and by Paddock's
// own scheduler, the real one. All place gangs alike: on the nodes that they fill most. Threads: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "simulation/workload/workload.h"

namespace paddock::simulation {

struct Schedule {
  std::vector<std::int64_t> starts_s;  // by position in Workload::jobs; all of them start in the end
  // EASY alone: what the job was promised when it was first in the queue, waited, and another could overtake it; -1: never.
  std::vector<std::int64_t> promised_s{};
};

// The workload must have only jobs that fit: see fits() in workload.h.
// In the order in which they come; nobody overtakes.
Schedule schedule_fifo(const Workload& workload, const Machines& machines);

// EASY (Lifka 1995): the first that has to wait is promised the earliest time at which what was asked for lets it start;
// others may overtake where that does not break the promise, which is made anew, never for later, when something ends.
Schedule schedule_easy(const Workload& workload, const Machines& machines);

// scheduler/apply.h on `machines` nodes, with fair share, ageing and its bounds; a user is a tenant, a job a graph, what was
// asked for its time limit.
Schedule schedule_paddock(const Workload& workload, const Machines& machines);

}  // namespace paddock::simulation
