// jobs/training_state.h – everything a run is after a number of steps, and its way into a checkpoint and back.
// What isn't here doesn't exist: schedules, order, views, masks and stochastic depth are functions of the step.
// Files of a checkpoint: those of the pupil (pupil.h), of several students each with "NAME." in front, and
// centers.safetensors (softmax centering only). Threads: one owner; a Snapshot may go to another thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "jobs/pupil.h"
#include "model/teacher_targets.h"

namespace paddock::jobs {

// A copy of a state, on the CPU, its own tensors.
struct Snapshot {
  std::int64_t step = 0;
  nlohmann::json state;
  CheckpointFiles files;
};

struct Student {
  // As Pupil.
  Student(std::string its_name, const PupilOptions& options, torch::Device device,
          const model::Shards& shards);

  const std::string name;  // "": the only one of the run
  Pupil pupil;
  std::int64_t skipped = 0;           // steps without an update, since something of it wasn't finite
  std::int64_t skipped_in_a_row = 0;  // up to now

  std::string prefix() const { return name.empty() ? "" : name + "."; }
  // How it fares, for a checkpoint's state.
  nlohmann::json counters() const;
};

struct TrainingState {
  struct Learning {
    double layerwise_decay = 1, patch_embed_mult = 1;  // as model::LayerwiseDecay
    std::uint64_t seed = 0;
    HeldWeights weights = HeldWeights::kWhole;
  };
  // Of all students by name, each drawn from the seed alone: none is another one for those beside it. `shards` must
  // outlive this.
  TrainingState(const std::map<std::string, model::HeadedBackboneOptions>& networks, const Learning& learning,
                model::Centering centering, torch::Device device, const model::Shards& shards);

  std::deque<Student> students;  // by name
  model::TeacherTargets targets;
  std::int64_t step = 0;         // done
  std::int64_t data_offset = 0;  // steps' worth of samples that were left out by rolling back
  std::int64_t rollbacks = 0;

  // Whose samples, crops and masks the next step takes.
  std::int64_t data_step() const { return step + data_offset; }
  // Of the student that has skipped the most up to now.
  const Student& worst() const;

  // On rank 0; elsewhere it has no files. `about`: what else the checkpoint's state says (kind, options, …). Collective.
  Snapshot snapshot(nlohmann::json about);
  // On rank 0; share() follows. Throws std::invalid_argument listing what does not fit; the state is then undefined.
  void restore(const storage::Checkpoint& checkpoint);
  // Every rank has all that the last update made.
  void settle() {
    for (Student& student : students) student.pupil.settle();
  }
  // Every rank gets rank 0's. Collective.
  void share(model::Collective& ranks);
};

}  // namespace paddock::jobs
