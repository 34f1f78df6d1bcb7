#include "jobs/training_loss.h"

#include "storage/hash.h"

namespace paddock::jobs {

model::LossOptions loss_options(const TrainingPlan& plan) {
  model::LossOptions options;
  options.local_crops = plan.loss.dino_weight > 0 ? plan.crops.local_count : 0;
  options.dino_weight = plan.loss.dino_weight;
  options.ibot_weight = plan.loss.ibot_weight;
  options.koleo_weight = plan.loss.koleo_weight;
  return options;
}

StepNumbers share_numbers(const model::StepLosses& losses, std::uint64_t samples_hash, bool is_stop_requested,
                          model::Collective& ranks) {
  const auto number = [](const torch::Tensor& scalar) { return scalar.item<double>(); };
  const auto own = torch::tensor(
      {number(losses.dino_local), number(losses.dino_global), number(losses.ibot), number(losses.koleo),
       is_stop_requested ? 1.0 : 0.0,
       // 32 bits each: exact in a double
       static_cast<double>(samples_hash >> 32), static_cast<double>(samples_hash & 0xFFFFFFFFu)},
      torch::kFloat64);
  const auto all = ranks.all_gather(own).contiguous();
  StepNumbers mean;
  std::string hashes;
  const auto* row = all.const_data_ptr<double>();
  for (std::int64_t rank = 0; rank < ranks.ranks(); ++rank, row += 7) {
    mean.dino_local += row[0];
    mean.dino_global += row[1];
    mean.ibot += row[2];
    mean.koleo += row[3];
    mean.is_stopping = mean.is_stopping || row[4] > 0;
    hashes += std::to_string(static_cast<std::uint64_t>(row[5])) + "," +
              std::to_string(static_cast<std::uint64_t>(row[6])) + ";";
  }
  const auto world = static_cast<double>(ranks.ranks());
  mean.dino_local /= world;
  mean.dino_global /= world;
  mean.ibot /= world;
  mean.koleo /= world;
  mean.samples_hash = storage::xxh3_hex(hashes).substr(0, 16);
  return mean;
}

}  // namespace paddock::jobs
