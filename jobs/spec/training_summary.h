// jobs/spec/training_summary.h – what follows from the options of a training job before anything runs:
// lengths in samples and epochs, the learning rate after scaling, sizes, work, memory, and warnings. Printed
// by the job when it starts, by `paddock plan -v` and by `paddock recipes NAME`. Formulas: docs/training.md.
// Threads: pure functions. Errors: none; nothing is returned for options that are no training's.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "jobs/spec/training_memory.h"
#include "jobs/spec/training_run.h"

namespace paddock::spec {

struct StudentSizes {
  std::int64_t tokens = 0;  // of all views of a picture
  std::int64_t backbone_parameters = 0;
  std::int64_t heads_parameters = 0;
};

// Those of several students are sums over them.
struct TrainingSizes {
  std::int64_t student_tokens = 0;  // of all views of a picture
  std::int64_t teacher_tokens = 0;
  std::int64_t backbone_parameters = 0;
  std::map<std::string, StudentSizes> students;  // of a distillation of several, by name
  // False: a distillation whose teacher is not known yet. It decides the numbers of prototypes, so heads,
  // targets and the teacher's share are left out of the numbers below.
  bool is_teacher_known = true;
  std::int64_t heads_parameters = 0;
  double flops_a_picture = 0;
  double flops_a_step = 0;
  TrainingMemory memory;
};

struct TrainingSummary {
  std::int64_t steps = 0;
  std::int64_t batch_size = 0;
  std::int64_t samples = 0;
  std::int64_t warmup_steps = 0;
  std::int64_t warmup_samples = 0;
  std::optional<std::int64_t> dataset_pictures;
  std::optional<double> epochs;  // passes over the dataset

  double base_learning_rate = 0;
  double peak_learning_rate = 0;  // base · √(batch / 1024)
  double last_learning_rate = 0;

  std::int64_t ranks = 1;
  std::int64_t shards = 1;
  std::int64_t pictures_a_shard = 0;
  std::int64_t shards_a_rank = 0;  // of the rank with the most

  bool is_bf16 = true;
  std::optional<TrainingSizes> sizes;  // none: of an adaptation before it starts
  std::vector<std::string> warnings;
};

// Arguments as training_run().
std::optional<TrainingSummary> summarize_training(const std::string& kind, const Json& with,
                                                  const TrainingFacts& facts);

// A few lines for people, each with a newline.
std::string to_text(const TrainingSummary& summary);
// The fields above under their names; what is not known is null.
Json to_json(const TrainingSummary& summary);

}  // namespace paddock::spec
