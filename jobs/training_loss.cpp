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

double StepNumbers::loss() const {
  double sum = 0;
  for (const auto& student : students) sum += student.loss();
  return sum / static_cast<double>(students.size());
}

StepNumbers share_numbers(const std::vector<ShardNumbers>& own, const RankNumbers& rank,
                          const model::Shards& shards) {
  const std::size_t students = own.front().losses.size();
  std::vector<torch::Tensor> rows;
  for (const auto& [losses, samples_hash] : own) {
    std::vector<double> row{
        rank.is_stop_requested ? 1.0 : 0.0,
        rows.empty() ? static_cast<double>(rank.quarantined) : 0.0,  // a rank's own, so once
        // 32 bits each: exact in a double
        static_cast<double>(samples_hash >> 32), static_cast<double>(samples_hash & 0xFFFFFFFFu),
        rank.seconds};
    for (const auto& student : losses) {
      for (const auto& loss : {student.dino_local, student.dino_global, student.ibot, student.koleo})
        row.push_back(loss.item<double>());
    }
    rows.push_back(torch::tensor(row, torch::kFloat64));
  }
  const auto all = shards.gather(rows).contiguous();
  StepNumbers mean;
  mean.students.resize(students);
  std::string hashes;
  const auto* number = all.const_data_ptr<double>();
  for (std::int64_t shard = 0; shard < shards.count(); ++shard) {
    mean.is_stopping = mean.is_stopping || number[0] > 0;
    mean.quarantined += static_cast<std::int64_t>(number[1]);
    hashes += std::to_string(static_cast<std::uint64_t>(number[2])) + "," +
              std::to_string(static_cast<std::uint64_t>(number[3])) + ";";
    number += 5;
    for (auto& student : mean.students) {
      for (double* sum : {&student.dino_local, &student.dino_global, &student.ibot, &student.koleo})
        *sum += *number++;
    }
  }
  const std::int64_t ranks = shards.ranks().ranks();
  for (std::int64_t other = 0; other < ranks; ++other)
    mean.rank_seconds.push_back(all[shards.of_rank(other).begin][4].item<double>());
  const auto count = static_cast<double>(shards.count());
  for (auto& student : mean.students) {
    for (double* sum : {&student.dino_local, &student.dino_global, &student.ibot, &student.koleo})
      *sum /= count;
  }
  mean.samples_hash = storage::xxh3_hex(hashes).substr(0, 16);
  return mean;
}

}  // namespace paddock::jobs
