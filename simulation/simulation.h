// simulation/simulation.h – a whole cluster from one seed: the real coordinator, scheduler and worker agents over a
// simulated clock, network, disk and ranks. Phase 1: everything fails that may, and what must never happen is looked for
// after each turn. Phase 2: nothing fails any more, and everything that was accepted must come to its end.
// Threads: one; a pure function of its arguments.
#pragma once

#include <cstdint>
#include <ostream>
#include <set>
#include <string>
#include <vector>

namespace paddock::simulation {

struct Outcome {
  std::uint64_t seed = 0;
  std::uint64_t hash = 0;               // of the whole history: the same seed has the same
  std::uint64_t events = 0;             // lines of it
  std::vector<std::string> violations;  // empty is good
  std::set<std::string> probes;         // which rare things have happened
};

// `events`: where the history is printed; nullptr: nowhere.
Outcome simulate(std::uint64_t seed, std::ostream* events = nullptr);

// Over many seeds each of these must happen at least once, or the simulation has gone blind.
const std::set<std::string>& probes_to_hit();

}  // namespace paddock::simulation
