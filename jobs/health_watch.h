// jobs/health_watch.h – judges a run by its numbers and says in a sentence what is wrong: collapse, divergence, a rank that is
// slower than the rest. Judgements are a function of the numbers given so far. Threads: one owner.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/health.h"

namespace paddock::jobs {

// Each: a sentence when it begins to hold, nothing while it goes on, nothing when it is over.
class HealthWatch {
 public:
  // All prototypes but a few dead, or all features alike.
  std::optional<std::string> judge_health(std::int64_t step, const model::TargetHealth& targets,
                                          const model::FeatureHealth& features);
  // The loss far above the lowest it has been.
  std::optional<std::string> judge_loss(std::int64_t step, double loss);
  // Seconds of each rank's own work in this step, without waiting for the others.
  std::optional<std::string> judge_ranks(std::int64_t step, const std::vector<double>& seconds);

  // What holds now: "collapse", "divergence", "slow rank 2"; empty: all is well.
  std::string state() const;

 private:
  bool is_collapsed_ = false, is_diverged_ = false;
  std::int64_t slow_rank_ = -1;
  double mean_loss_ = 0, least_loss_ = 0;  // smoothed; the least of the smoothed ones
  std::int64_t losses_ = 0;
  std::vector<double> mean_seconds_;
  std::int64_t timed_steps_ = 0;
};

}  // namespace paddock::jobs
