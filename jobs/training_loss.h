// jobs/training_loss.h – one step's losses and numbers, the same on all ranks.
#pragma once

#include <cstdint>
#include <string>

#include "jobs/training.h"
#include "model/self_distillation.h"

namespace paddock::jobs {

model::LossOptions loss_options(const TrainingPlan& plan);

// What a step says of itself: means over ranks.
struct StepNumbers {
  double dino_local = 0, dino_global = 0, ibot = 0, koleo = 0;
  bool is_stopping = false;  // some rank was asked to stop
  std::string samples_hash;  // of all ranks' samples, in the order of ranks
  double loss() const { return dino_local + dino_global + ibot + koleo; }
};

// Exchanges them in one collective.
StepNumbers share_numbers(const model::StepLosses& losses, std::uint64_t samples_hash, bool is_stop_requested,
                          model::Collective& ranks);

}  // namespace paddock::jobs
