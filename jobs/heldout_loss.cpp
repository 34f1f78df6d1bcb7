#include "jobs/heldout_loss.h"

#include <algorithm>
#include <stdexcept>

#include "jobs/training_loss.h"

namespace paddock::jobs {

HeldoutLoss::HeldoutLoss(const TrainingPlan& plan, const storage::SampleSet& test,
                         const model::Shards& shards, torch::Device device, QuarantineLog& quarantine)
    : plan_(plan), test_(test), shards_(shards), device_(device), quarantine_(quarantine) {
  if (test.size() == 0)
    throw std::invalid_argument("data: the test split of " + plan.data +
                                " is empty; set run.heldout_every to 0");
  const auto whole = static_cast<std::int64_t>(test.size()) / plan.batch_size;
  batches_ = std::clamp<std::int64_t>(whole, 1, plan.run.heldout_batches);
}

std::vector<double> HeldoutLoss::measure(const std::vector<const model::HeadedBackbone*>& students,
                                         const model::HeadedBackbone& teacher,
                                         model::TeacherTargets& targets) {
  const torch::NoGradGuard no_grad;
  // The loader begins anew each time: the same seed gives the same crops and masks. A picture is looked at once then, so
  // none is worth keeping.
  auto options = loader_options(plan_, shards_.own());
  options.cache_bytes = 0;
  options.on_quarantined = [this](const data::Quarantined& picture) { quarantine_.add("test", picture); };
  data::Loader loader(test_, options, 0);
  // Of each student and own shard.
  std::vector<std::vector<torch::Tensor>> sums(
      students.size(), std::vector<torch::Tensor>(static_cast<std::size_t>(shards_.own().size()),
                                                  torch::zeros({1}, torch::kFloat64)));
  for (std::int64_t i = 0; i < batches_; ++i) {
    const auto batches = next_batches(loader, plan_, shards_.own(), device_);
    const auto taught = model::teach(teacher, targets, crops_of(batches),
                                     plan_.schedule.teacher_temperature_end, shards_, false);
    for (std::size_t student = 0; student < students.size(); ++student) {
      for (std::size_t own = 0; own < batches.size(); ++own) {
        const auto losses =
            model::student_losses(*students[student], taught[own], batches[own].crops, loss_options(plan_));
        torch::Tensor& sum = sums[student][own];
        sum = sum + (losses.dino_local + losses.dino_global + losses.ibot).to(torch::kCPU, torch::kFloat64);
      }
    }
  }
  std::vector<double> means;
  for (auto& own : sums)
    means.push_back(shards_.sum(std::move(own)).item<double>() /
                    static_cast<double>(batches_ * shards_.count()));
  return means;
}

}  // namespace paddock::jobs
