#include "jobs/training_loss.h"

#include "storage/hash.h"

namespace paddock::jobs {

model::LossOptions loss_options(const TrainingPlan& plan) {
  model::LossOptions options;
  options.local_crops = local_crops(plan);
  options.dino_weight = plan.loss.dino_weight;
  options.ibot_weight = plan.loss.ibot_weight;
  options.koleo_weight = plan.loss.koleo_weight;
  return options;
}

std::vector<model::CropBatch> crops_of(const std::vector<TrainingBatch>& batches) {
  std::vector<model::CropBatch> crops;
  for (const auto& batch : batches) crops.push_back(batch.crops);
  return crops;
}

StepNumbers share_numbers(const std::vector<ShardNumbers>& own, const RankNumbers& rank,
                          const model::Shards& shards) {
  const auto number = [](const torch::Tensor& scalar) { return scalar.item<double>(); };
  std::vector<torch::Tensor> rows;
  for (const auto& [losses, samples_hash] : own)
    rows.push_back(
        torch::tensor({number(losses.dino_local), number(losses.dino_global), number(losses.ibot),
                       number(losses.koleo), rank.is_stop_requested ? 1.0 : 0.0,
                       rows.empty() ? static_cast<double>(rank.quarantined) : 0.0,  // a rank's own, so once
                       // 32 bits each: exact in a double
                       static_cast<double>(samples_hash >> 32),
                       static_cast<double>(samples_hash & 0xFFFFFFFFu), rank.seconds},
                      torch::kFloat64));
  const auto all = shards.gather(rows).contiguous();
  StepNumbers mean;
  std::string hashes;
  const auto* row = all.const_data_ptr<double>();
  for (std::int64_t shard = 0; shard < shards.count(); ++shard, row += 9) {
    mean.dino_local += row[0];
    mean.dino_global += row[1];
    mean.ibot += row[2];
    mean.koleo += row[3];
    mean.is_stopping = mean.is_stopping || row[4] > 0;
    mean.quarantined += static_cast<std::int64_t>(row[5]);
    hashes += std::to_string(static_cast<std::uint64_t>(row[6])) + "," +
              std::to_string(static_cast<std::uint64_t>(row[7])) + ";";
  }
  const std::int64_t ranks = shards.ranks().ranks();
  for (std::int64_t other = 0; other < ranks; ++other)
    mean.rank_seconds.push_back(all[shards.of_rank(other).begin][8].item<double>());
  const auto count = static_cast<double>(shards.count());
  for (double* value : {&mean.dino_local, &mean.dino_global, &mean.ibot, &mean.koleo}) *value /= count;
  mean.samples_hash = storage::xxh3_hex(hashes).substr(0, 16);
  return mean;
}

}  // namespace paddock::jobs
