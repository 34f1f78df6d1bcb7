// jobs/pretrain.h – the job kind `pretrain`: a backbone raised from pictures alone, taught by its own moving average.
#pragma once

#include "jobs/spec/pretrain.h"
#include "jobs/training.h"

namespace paddock::jobs {

TrainingPlan pretrain_plan(const spec::PretrainOptions& options);
// From the weights in options.from, whose heads are taken too where there are any. Throws std::invalid_argument when they do
// not fit, std::runtime_error when they are damaged.
TrainingPlan adapt_plan(const spec::PretrainOptions& options);

}  // namespace paddock::jobs
