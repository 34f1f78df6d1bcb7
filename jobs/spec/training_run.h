// jobs/spec/training_run.h – the options of any kind of training in one form, for what is derived from them
// (summary, memory, warnings). Threads: pure functions. Errors: none; nothing is returned for options that
// are no training's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "jobs/spec/network_size.h"

namespace paddock::spec {

// What the options do not say.
struct TrainingFacts {
  std::int64_t ranks = 1;
  std::optional<std::int64_t> dataset_pictures;  // of the train split
  std::optional<bool> is_bf16;                   // unset: by the options; where these say auto, bf16
  std::optional<bool> is_on_gpu;                 // unset: by the options; where these say auto, if it is bf16
  // Networks as they are made, which is known when the job starts: what an adaptation begins from, a
  // distillation's teacher. The student of other kinds follows from the options.
  std::optional<NetworkSize> student, frozen_teacher;
};

struct TrainingRun {
  std::int64_t batch_size = 0;
  std::int64_t shards = 1;  // resolved
  CropsSpec crops;
  LossSpec loss;
  ScheduleSpec schedule;
  double mask_probability = 0;  // 0: the iBOT loss looks at every patch
  std::vector<double> mask_ratio{.1, .5};
  NetworkSize student;           // of several the first
  bool is_student_known = true;  // false: `student` means nothing
  std::map<std::string, NetworkSize>
      students;  // that learn from one teacher, by name; empty: `student` alone
  // None: not known yet; of a distillation, nor are the student's numbers of prototypes then.
  std::optional<NetworkSize> teacher;
  bool is_teacher_frozen = false;  // else it is the moving average of the student
  bool begins_from_weights = false;
  std::int64_t ranks = 1;
  bool is_bf16 = true;
  bool is_fused = false;          // by model/fused_blocks.h, which keeps less: on a CPU
  bool is_sliced = false;         // float32 weights, of which a rank has a slice (jobs/pupil.h)
  bool is_checkpointing = false;  // of each block its input is kept, the rest made again
  std::optional<std::int64_t> dataset_pictures;

  std::int64_t pictures_a_shard() const { return batch_size / shards; }
  std::int64_t shards_a_rank() const { return (shards + ranks - 1) / ranks; }  // of the rank with the most
  // That are looked at: none without the DINO loss.
  std::int64_t local_crops() const { return loss.dino_weight > 0 ? crops.local_count : 0; }
  // All that learn, by name; the only one has the name "".
  std::map<std::string, NetworkSize> learners() const;
  // Of all views of a picture.
  std::int64_t student_tokens(const NetworkSize& learner) const;
  std::int64_t teacher_tokens() const;
  // Patches of a picture that the iBOT loss looks at, on average.
  double patches_looked_at() const;
  double peak_learning_rate() const;  // base · √(batch / 1024)
};

// `kind`: pretrain, adapt or distill; `with`: its options, complete or with defaults left out, but without
// `recipe`.
std::optional<TrainingRun> training_run(const std::string& kind, const Json& with,
                                        const TrainingFacts& facts);

}  // namespace paddock::spec
