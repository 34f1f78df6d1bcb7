// jobs/training_schedule.h – the values of a step, from the options and the step's number alone.
#pragma once

#include <cstdint>

#include "jobs/spec/training.h"
#include "model/adamw.h"

namespace paddock::jobs {

struct StepValues {
  model::AdamWStep optimiser;
  double teacher_temperature = 0;
};

// For the update from `step` to `step` + 1.
StepValues values_at(const spec::ScheduleSpec& schedule, std::int64_t batch_size, std::int64_t step);

}  // namespace paddock::jobs
