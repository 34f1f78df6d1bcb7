// jobs/training_state.h – everything a run is after a number of steps, and its way into a checkpoint and back.
// What isn't here doesn't exist: schedules, order, views, masks and stochastic depth are functions of the step.
// Files of a checkpoint: those of the pupil (pupil.h) and centers.safetensors (softmax centering only).
// Threads: one owner; a Snapshot may go to another thread.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>

#include "jobs/pupil.h"
#include "model/teacher_targets.h"

namespace paddock::jobs {

// A copy of a state, on the CPU, its own tensors.
struct Snapshot {
  std::int64_t step = 0;
  nlohmann::json state;
  CheckpointFiles files;
};

struct TrainingState {
  // `shards` must outlive this.
  TrainingState(const model::HeadedBackboneOptions& networks, const model::LayerwiseDecay& layers,
                model::Centering centering, std::uint64_t seed, torch::Device device,
                const model::Shards& shards);

  Pupil pupil;
  model::TeacherTargets targets;
  std::int64_t step = 0;              // done
  std::int64_t skipped = 0;           // of them without an update, since something wasn't finite
  std::int64_t skipped_in_a_row = 0;  // up to now
  std::int64_t data_offset = 0;       // steps' worth of samples that were left out by rolling back
  std::int64_t rollbacks = 0;

  // Whose samples, crops and masks the next step takes.
  std::int64_t data_step() const { return step + data_offset; }

  // On rank 0; elsewhere it has no files. `about`: what else the checkpoint's state says (kind, options, …). Collective.
  Snapshot snapshot(nlohmann::json about);
  // On rank 0; share() follows. Throws std::invalid_argument listing what does not fit; the state is then undefined.
  void restore(const storage::Checkpoint& checkpoint);
  // Every rank gets rank 0's. Collective.
  void share(model::Collective& ranks);
};

}  // namespace paddock::jobs
