#include "jobs/training_schedule.h"

#include "model/schedules.h"

namespace paddock::jobs {

StepValues values_at(const spec::ScheduleSpec& schedule, std::int64_t batch_size, std::int64_t step) {
  using model::CosineSchedule;
  const double peak = model::scaled_learning_rate(schedule.base_lr, batch_size);
  const std::int64_t warm = schedule.teacher_temperature_steps;
  CosineSchedule lr{peak, schedule.min_lr, schedule.steps, schedule.warmup_steps, 0, 0};
  StepValues values;
  values.optimiser.lr = lr.at(step);
  lr.frozen = schedule.freeze_last_layer_steps;
  values.optimiser.last_layer_lr = lr.at(step);
  values.optimiser.weight_decay =
      CosineSchedule{schedule.weight_decay_start, schedule.weight_decay_end, schedule.steps}.at(step);
  values.optimiser.momentum = CosineSchedule{schedule.momentum_start, 1, schedule.steps}.at(step);
  values.teacher_temperature =
      CosineSchedule{schedule.teacher_temperature_end, schedule.teacher_temperature_end, warm, warm,
                     schedule.teacher_temperature_start}
          .at(step);
  return values;
}

}  // namespace paddock::jobs
