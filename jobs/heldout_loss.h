// jobs/heldout_loss.h – the self-supervised loss on pictures that were never trained on: fixed crops, masks and targets'
// temperature, so that its values can be compared over a run. Threads: one owner.
#pragma once

#include <cstdint>
#include <vector>

#include "jobs/training_batches.h"
#include "model/self_distillation.h"
#include "storage/shard.h"

namespace paddock::jobs {

class HeldoutLoss {
 public:
  // Batches of the size of training's from `test`, at most plan.run.heldout_batches. Throws std::invalid_argument when the
  // set is empty.
  HeldoutLoss(const TrainingPlan& plan, const storage::ShardSet& test, model::Collective& ranks,
              torch::Device device);

  // Mean over the batches of all ranks of the class-token and patch losses as they are displayed; KoLeo isn't in it.
  // Collective; changes nothing.
  double measure(const model::HeadedBackbone& student, const model::HeadedBackbone& teacher,
                 model::TeacherTargets& targets);

 private:
  const TrainingPlan& plan_;
  const storage::ShardSet& test_;
  model::Collective& ranks_;
  const torch::Device device_;
  std::int64_t batches_ = 0;
};

}  // namespace paddock::jobs
