// jobs/pretrain.h – the job kind `pretrain`: a backbone raised from pictures alone, taught by its own moving average.
#pragma once

#include "jobs/spec/pretrain.h"
#include "jobs/training.h"

namespace paddock::jobs {

TrainingPlan pretrain_plan(const spec::PretrainOptions& options);

}  // namespace paddock::jobs
