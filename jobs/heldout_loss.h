// jobs/heldout_loss.h – the self-supervised loss on pictures that were never trained on: fixed crops, masks and targets'
// temperature, so that its values can be compared over a run. Threads: one owner.
#pragma once

#include <cstdint>
#include <vector>

#include "jobs/quarantine_log.h"
#include "jobs/training_batches.h"
#include "model/self_distillation.h"
#include "storage/sample_set.h"

namespace paddock::jobs {

class HeldoutLoss {
 public:
  // Batches of the size of training's from `test`, at most plan.run.heldout_batches. All arguments must outlive this.
  // Throws std::invalid_argument when the set is empty.
  HeldoutLoss(const TrainingPlan& plan, const storage::SampleSet& test, const model::Shards& shards,
              torch::Device device, QuarantineLog& quarantine);

  // For each student: mean over the batches of all shards of the class-token and patch losses as they are displayed; KoLeo
  // isn't in it. The teacher looks once. Collective; changes nothing.
  std::vector<double> measure(const std::vector<const model::HeadedBackbone*>& students,
                              const model::HeadedBackbone& teacher, model::TeacherTargets& targets);

 private:
  const TrainingPlan& plan_;
  const storage::SampleSet& test_;
  const model::Shards& shards_;
  const torch::Device device_;
  QuarantineLog& quarantine_;
  std::int64_t batches_ = 0;
};

}  // namespace paddock::jobs
