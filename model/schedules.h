// model/schedules.h – what changes over a run as functions of the step: nothing is stored. Source: DINOv2's recipes.
// Threads: pure functions.
#pragma once

#include <cstdint>

namespace paddock::model {

// A line from `start` to `base` over `warmup` steps (both ends included), then half a cosine from `base` to `final` that
// would reach it at `total`; `final` from there on. The first `frozen` steps are 0 whatever the rest says.
struct CosineSchedule {
  double base = 0;
  double final = 0;
  std::int64_t total = 0;
  std::int64_t warmup = 0;
  double start = 0;
  std::int64_t frozen = 0;

  double at(std::int64_t step) const;
};

// base · √(batch / 1024)
double scaled_learning_rate(double base, std::int64_t global_batch);

}  // namespace paddock::model
