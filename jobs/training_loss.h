// jobs/training_loss.h – one step's losses and numbers, the same on all ranks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jobs/training.h"
#include "jobs/training_batches.h"
#include "model/self_distillation.h"

namespace paddock::jobs {

model::LossOptions loss_options(const TrainingPlan& plan);

// The crops of the own shards, as the model wants them.
std::vector<model::CropBatch> crops_of(const std::vector<TrainingBatch>& batches);

// A student's losses in a step: means over shards.
struct StudentLosses {
  double dino_local = 0, dino_global = 0, ibot = 0, koleo = 0;
  double loss() const { return dino_local + dino_global + ibot + koleo; }
};

// What a step says of itself.
struct StepNumbers {
  std::vector<StudentLosses> students;  // in the order of the state's
  bool is_stopping = false;             // some rank was asked to stop
  std::int64_t quarantined = 0;         // pictures put aside since the attempt began, over all ranks
  std::vector<double> rank_seconds;     // each rank's own work in this step, without waiting for the others
  std::string samples_hash;             // of all shards' samples, in their order
  double loss() const;                  // the mean over the students
};

// What one shard has to say.
struct ShardNumbers {
  std::vector<model::StepLosses> losses;  // of each student
  std::uint64_t samples_hash = 0;
};

// What one rank has.
struct RankNumbers {
  bool is_stop_requested = false;
  std::int64_t quarantined = 0;
  double seconds = 0;  // own work in this step
};

// Exchanges them in one collective. `own`: of each own shard.
StepNumbers share_numbers(const std::vector<ShardNumbers>& own, const RankNumbers& rank,
                          const model::Shards& shards);

}  // namespace paddock::jobs
