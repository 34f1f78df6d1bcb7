#include "model/schedules.h"

#include <cmath>
#include <numbers>

namespace paddock::model {

double CosineSchedule::at(std::int64_t step) const {
  if (step < frozen) return 0;
  if (step >= total) return final;
  if (step < warmup) {
    if (warmup == 1) return start;
    return start + (base - start) * static_cast<double>(step) / static_cast<double>(warmup - 1);
  }
  const auto share = static_cast<double>(step - warmup) / static_cast<double>(total - warmup);
  return final + .5 * (base - final) * (1 + std::cos(std::numbers::pi * share));
}

double scaled_learning_rate(double base, std::int64_t global_batch) {
  return base * std::sqrt(static_cast<double>(global_batch) / 1024);
}

}  // namespace paddock::model
