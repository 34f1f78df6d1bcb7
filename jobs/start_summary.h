// jobs/start_summary.h – what a training says about itself before its first step: what follows from its
// options. Threads: pure function.
#pragma once

#include <cstdint>
#include <string>

#include "jobs/training.h"

namespace paddock::jobs {

// A few lines, each with a newline (jobs/spec/training_summary.h); empty for a kind that has no summary.
// `dataset_pictures`: of the train split. `compute`: of the matrix products, on `device`.
std::string start_summary(const TrainingPlan& plan, std::int64_t dataset_pictures, std::int64_t ranks,
                          torch::ScalarType compute, torch::Device device = torch::kCPU);

}  // namespace paddock::jobs
