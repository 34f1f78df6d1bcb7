// simulation/workload/lublin.h – a workload as on a parallel machine, from a seed: the model of Lublin and Feitelson (JPDC
// 63(11), 2003) for batch jobs. Threads: pure functions (libm, so the same on machines with the same libm).
//
// - Size: 24.4 % need one processor; of the others log2 of the size is drawn from two joined uniform distributions, (0.8,
//   uMed) with probability 0.86 and (uMed, uHi), where uHi is log2 of the largest size and uMed = uHi - 2.5; 57.6 % of all
//   jobs are rounded to a power of two.
// - Run time: its natural logarithm is a mixture of the gamma distributions (4.2, 0.94) and (312, 0.03); the first has
//   the probability 0.78 - 0.0054 × size, within [0, 1]; at most e^12 seconds.
// - Arrivals: the logarithm of the time to the next is gamma (10.23, 0.4871), stretched by the cycle of the day: the
//   weights of its 48 half hours are a gamma density (8.1737, 3.9631) that begins at half past five.
// Simplified or added: no interactive jobs; the largest size is as many processors as the cluster has nodes; times between
// arrivals are scaled so that the work offered is `load` of what the cluster can do; what is asked for is the run time
// times a factor drawn from 1 to 5 (Mu'alem and Feitelson 2001), rounded up to minutes; users are drawn by Zipf's law.
#pragma once

#include <cstdint>

#include "simulation/workload/workload.h"

namespace paddock::simulation {

// `load`: above 0; from 1 on the queue only grows.
Workload draw_lublin(std::uint64_t jobs, std::uint64_t seed, const Machines& machines, double load);

}  // namespace paddock::simulation
