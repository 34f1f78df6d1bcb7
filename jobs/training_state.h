// jobs/training_state.h – everything a run is after a number of steps, and its way into a checkpoint and back.
// What isn't here doesn't exist: schedules, order, views, masks and stochastic depth are functions of the step.
// Files of a checkpoint: student.safetensors ("student.backbone.…"), teacher.safetensors ("teacher.…": the moving average,
// the result), optimizer.safetensors ("first.…", "second.…"), centers.safetensors (softmax centering only).
// Threads: one owner; a Snapshot may go to another thread.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "model/adamw.h"
#include "model/collective.h"
#include "model/flat_parameters.h"
#include "model/headed_backbone.h"
#include "model/teacher_targets.h"
#include "storage/checkpoint.h"

namespace paddock::jobs {

// A copy of a state, on the CPU, its own tensors.
struct Snapshot {
  std::int64_t step = 0;
  nlohmann::json state;
  std::vector<std::pair<std::string, model::NamedTensors>> files;
};

struct TrainingState {
  // Initial weights from the seed; the average begins as a copy of the student.
  TrainingState(const model::HeadedBackboneOptions& networks, const model::LayerwiseDecay& layers,
                model::Centering centering, std::uint64_t seed, torch::Device device);

  model::HeadedBackbone student, average;
  model::FlatParameters student_parameters, average_parameters;
  model::AdamW optimiser;
  model::TeacherTargets targets;
  std::int64_t step = 0;              // done
  std::int64_t skipped = 0;           // of them without an update, since something wasn't finite
  std::int64_t skipped_in_a_row = 0;  // up to now

  // `about`: what else the checkpoint's state says (kind, options, …).
  Snapshot snapshot(nlohmann::json about);
  // Throws std::invalid_argument listing what does not fit; the state is then undefined.
  void restore(const storage::Checkpoint& checkpoint);
  // Every rank gets rank 0's.
  void broadcast(model::Collective& ranks);

 private:
  std::vector<torch::Tensor*> tensors();
};

}  // namespace paddock::jobs
