// jobs/distill.h – the job kind `distill`: a smaller backbone, or several, taught by a finished one and its heads, which
// stay as they are. Nothing is hidden from a student and no branch skipped; the moving average of the student is the result.
#pragma once

#include "jobs/spec/distill.h"
#include "jobs/training.h"

namespace paddock::jobs {

// Loads the teacher. Throws std::invalid_argument when it does not fit: no checkpoint of a training run, another patch size.
TrainingPlan distill_plan(const spec::DistillOptions& options);

}  // namespace paddock::jobs
