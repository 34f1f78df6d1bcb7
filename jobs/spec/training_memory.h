// jobs/spec/training_memory.h – what a rank of a training needs on its device, estimated from shapes: what
// jobs/pupil.h, model/gradient_sum.h and the graph of one shard hold. Each term's formula stands in
// docs/training.md; change them with those files. Threads: pure functions.
#pragma once

#include "jobs/spec/training_run.h"

namespace paddock::spec {

// Bytes at the worst moment of a step, on the rank with the most shards.
struct TrainingMemory {
  double weights =
      0;  // students, their moving averages, the frozen teacher; what products are given in place of them
  double gradients = 0;  // and their sums over shards
  double optimiser = 0;  // the moments of this rank's slice
  double pictures = 0;   // the views of a step
  double targets = 0;    // the teacher's assignments of a step
  double activations =
      0;  // what the backward pass of one shard needs, or the teacher's scores where they are more
  // Beside the total, of rank 0's host (on a CPU that is the same memory), while a checkpoint is written: student, average, moments.
  double checkpoint = 0;
  double total() const { return weights + gradients + optimiser + pictures + targets + activations; }
};

// run.is_student_known. Where the teacher isn't known: without heads, targets and the teacher.
TrainingMemory training_memory(const TrainingRun& run);

}  // namespace paddock::spec
