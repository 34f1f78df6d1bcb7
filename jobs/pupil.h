// jobs/pupil.h – a network that learns: the student, its moving average, the sum of its gradients, its optimiser.
// Every rank holds the optimiser's moments of its own slice (model/shards.h), and of student and average
// - kWhole: all float32 values;
// - kSliced: the float32 values of its slice, and of all others no more than is computed from (model/weight_copies.h): bfloat16 of
//   what goes into matrix products, float32 of the rest. It computes in bfloat16, with blocks in their plain form, to the bits that
//   kWhole has in that form and that type; on a GPU there is no other form. While it is made it is whole for a moment, on the
//   device less than a step takes; on rank 0's host the initial weights stay whole until share().
// Files of a checkpoint: student.safetensors ("student.backbone.…"), teacher.safetensors ("teacher.…": the moving average,
// the result), optimizer.safetensors ("first.…", "second.…"). They hold each tensor once, whatever the number of ranks. A
// `prefix` stands in front of the names of files and tensors, for a checkpoint of several pupils.
// Threads: one owner.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "model/adamw.h"
#include "model/gradient_sum.h"
#include "model/headed_backbone.h"
#include "model/shards.h"
#include "storage/checkpoint.h"

namespace paddock::jobs {

using CheckpointFiles = std::vector<std::pair<std::string, model::NamedTensors>>;

enum class HeldWeights { kWhole, kSliced };

struct PupilOptions {
  model::HeadedBackboneOptions networks;
  model::LayerwiseDecay layers;
  std::uint64_t seed = 0;
  HeldWeights weights = HeldWeights::kWhole;
};

struct Pupil {
  // Initial weights from the seed; the average begins as a copy of the student. `shards` must outlive this. Of kSliced share()
  // must follow before anything is computed.
  Pupil(const PupilOptions& options, torch::Device device, const model::Shards& shards);
  Pupil(const Pupil&) = delete;
  Pupil& operator=(const Pupil&) = delete;

  model::HeadedBackbone student, average;
  model::FlatParameters student_parameters, average_parameters;
  model::GradientSum gradients;
  model::AdamW optimiser;

  // Other initial weights for student and average: "backbone.…", and the heads where there are any. Before share().
  void begin_from(const model::TensorMap& weights);
  void set_compute_type(torch::ScalarType type);
  // The update from the summed gradients, unless they aren't finite: then nothing changes. Returns the gradient's norm before
  // clipping. `is_usable` false: as if they were not finite. Collective. The other ranks' slices of the new values are still
  // under way on return: whoever looks at them waits first.
  double update(const model::AdamWStep& values, double clip, bool is_usable);

  void wait_for_student() { student_slices_.wait(); }
  void wait_for_average() { average_slices_.wait(); }
  void settle() {
    wait_for_average();
    wait_for_student();
  }

  // Copies on the CPU, their own tensors; on rank 0, nothing elsewhere. Collective, since each rank has a slice. After settle().
  CheckpointFiles snapshot(const std::string& prefix = "");
  // The student's and the average's of these files alone, likewise.
  CheckpointFiles networks(const std::string& prefix = "");
  // On rank 0, from the checkpoint; share() follows. Throws std::invalid_argument listing what does not fit; the state is then
  // undefined.
  void restore(const storage::Checkpoint& checkpoint, const std::string& prefix = "");
  // Whether the student that restore() has read is finite.
  bool is_restored_finite() const;
  // Every rank gets rank 0's. Collective.
  void share();

 private:
  // Whole, on the CPU of rank 0, and on their way to share(); undefined: what the ranks have stays.
  struct OnTheWay {
    torch::Tensor student, average;  // kSliced alone
    torch::Tensor first, second;     // moments
  };

  // Of all ranks, on rank 0 (on the CPU); undefined elsewhere. Collective.
  torch::Tensor whole(const torch::Tensor& slice);
  torch::Tensor whole(const model::FlatParameters& parameters);
  // Every rank's slice of rank 0's `whole`, where that is defined; then it is so no more. Collective.
  void hand_out(torch::Tensor& whole, torch::Tensor& own);

  const model::Shards& shards_;
  model::SlicesUnderWay student_slices_, average_slices_;
  OnTheWay on_the_way_;
};

// The tensors of a checkpoint's file into `target`. Throws std::invalid_argument listing what does not fit.
void load_file(const storage::Checkpoint& checkpoint, const std::string& file,
               const model::NamedTensors& target);

torch::Tensor copied_to_cpu(const torch::Tensor& tensor);

}  // namespace paddock::jobs
