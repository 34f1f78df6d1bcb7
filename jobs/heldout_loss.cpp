#include "jobs/heldout_loss.h"

#include <algorithm>
#include <stdexcept>

#include "jobs/training_loss.h"

namespace paddock::jobs {

HeldoutLoss::HeldoutLoss(const TrainingPlan& plan, const storage::ShardSet& test, model::Collective& ranks,
                         torch::Device device)
    : plan_(plan), test_(test), ranks_(ranks), device_(device) {
  if (test.size() == 0)
    throw std::invalid_argument("data: the test split of " + plan.data +
                                " is empty; set run.heldout_every to 0");
  const auto whole = static_cast<std::int64_t>(test.size()) / plan.batch_size;
  batches_ = std::clamp<std::int64_t>(whole, 1, plan.run.heldout_batches);
}

double HeldoutLoss::measure(const model::HeadedBackbone& student, const model::HeadedBackbone& teacher,
                            model::TeacherTargets& targets) {
  const torch::NoGradGuard no_grad;
  // The loader begins anew each time: the same seed gives the same crops and masks.
  data::Loader loader(test_, loader_options(plan_, ranks_.rank(), ranks_.ranks()), 0);
  auto sum = torch::zeros({1}, torch::kFloat64);
  for (std::int64_t i = 0; i < batches_; ++i) {
    const auto batch = to_tensors(loader.next(), plan_, device_);
    const auto losses =
        model::self_distillation_losses(student, teacher, targets, batch.crops, loss_options(plan_),
                                        plan_.schedule.teacher_temperature_end, ranks_, {}, false);
    sum += (losses.dino_local + losses.dino_global + losses.ibot).to(torch::kCPU, torch::kFloat64);
  }
  ranks_.all_reduce_sum(sum);
  return sum.item<double>() / static_cast<double>(batches_ * ranks_.ranks());
}

}  // namespace paddock::jobs
