#include "jobs/spec/training_warnings.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "jobs/spec/number_text.h"

namespace paddock::spec {
namespace {

// The published recipes have at most 21 prototypes a class token with Sinkhorn–Knopp and 16 with the running
// mean of softmax centering, which forgives more since it remembers earlier batches.
constexpr double kPrototypesAToken = 64, kPrototypesATokenSoftmax = 256;
constexpr double kPrototypesATokenAdvised = 32;
constexpr std::int64_t kKoleoPicturesMin = 8;                     // published: 12 to 64 a GPU
constexpr double kPeakRateMin = 1e-4, kPeakRateAdvised = 3.5e-4;  // published: 3.5e-4 to 5.7e-3
constexpr double kWarmupShareMax = .4, kWarmupShareAdvised = .1;  // published: .1 and .16
constexpr double kFrozenShareMax = .2;                            // published: .01
constexpr double kRememberedShareMax = .25;                       // published: .001

std::int64_t share_of(double share, std::int64_t steps) {
  return std::max<std::int64_t>(static_cast<std::int64_t>(std::llround(share * static_cast<double>(steps))),
                                1);
}

std::string percent(double share) {
  return std::to_string(std::llround(100 * share)) + " %";
}

// Too many prototypes for so many rows of the teacher.
void warn_of_prototypes(const TrainingRun& run, const std::string& rows_name, double rows,
                        std::int64_t prototypes, const std::string& key, std::vector<std::string>& warnings) {
  const bool is_sinkhorn = run.loss.centering == "sinkhorn_knopp";
  if (static_cast<double>(prototypes) <= rows * (is_sinkhorn ? kPrototypesAToken : kPrototypesATokenSoftmax))
    return;
  const auto advised =
      std::max<std::uint64_t>(std::bit_floor(static_cast<std::uint64_t>(rows * kPrototypesATokenAdvised)), 2);
  const std::string brought = "a batch of " + grouped(run.batch_size) + " brings about " +
                              grouped(std::llround(rows)) + " " + rows_name + " to " + grouped(prototypes) +
                              " prototypes";
  std::string sentence = brought + (is_sinkhorn ? ", too few for Sinkhorn–Knopp to balance" : "") +
                         ": most prototypes get no say in a step and the loss stays near its first value; ";
  if (run.is_teacher_frozen)
    sentence += "raise batch_size, since the teacher decides their number";
  else
    sentence += "set " + key + ".prototypes to " + std::to_string(advised) + " or less, or raise batch_size";
  if (is_sinkhorn && !run.is_teacher_frozen)
    sentence += ", or set loss.centering to softmax, which remembers earlier batches";
  warnings.push_back(std::move(sentence));
}

void warn_of_batch(const TrainingRun& run, std::vector<std::string>& warnings) {
  if (run.teacher && run.loss.dino_weight > 0) {
    warn_of_prototypes(run, "class tokens", 2 * static_cast<double>(run.batch_size),
                       run.student.dino_head.prototypes, "heads.dino", warnings);
  }
  if (run.teacher && run.loss.ibot_weight > 0) {
    warn_of_prototypes(run, "patches", run.patches_looked_at() * static_cast<double>(run.batch_size),
                       run.student.patch_head().prototypes,
                       run.student.ibot_head ? "heads.ibot" : "heads.dino", warnings);
  }
  if (run.loss.koleo_weight > 0 && run.pictures_a_shard() < kKoleoPicturesMin) {
    std::string sentence = "KoLeo spreads a picture's features against those of the " +
                           std::to_string(run.pictures_a_shard() - 1) +
                           " others of its shard, too few to say much; ";
    const std::int64_t advised = run.batch_size / kKoleoPicturesMin;
    std::int64_t shards = run.shards;
    while (shards > 1 && (shards > advised || run.batch_size % shards != 0)) --shards;
    if (run.batch_size / shards >= kKoleoPicturesMin)
      sentence += "set shards to " + std::to_string(shards) + ", or loss.koleo_weight to 0";
    else
      sentence += "raise batch_size, or set loss.koleo_weight to 0";
    warnings.push_back(std::move(sentence));
  }
  if (const double peak = run.peak_learning_rate(); peak < kPeakRateMin && !run.begins_from_weights) {
    const double advised = run.schedule.base_lr * kPeakRateAdvised / peak;
    warnings.push_back("the learning rate of a batch of " + grouped(run.batch_size) + " peaks at " +
                       short_number(peak) +
                       ", so low that the loss may stay flat; set schedule.base_lr to about " +
                       short_number(advised) + ", or raise batch_size");
  }
}

void warn_of_lengths(const TrainingRun& run, std::vector<std::string>& warnings) {
  const ScheduleSpec& schedule = run.schedule;
  const auto steps = static_cast<double>(schedule.steps);
  if (const double share = static_cast<double>(schedule.warmup_steps) / steps; share > kWarmupShareMax) {
    warnings.push_back("the learning rate warms up for " + percent(share) +
                       " of the run; set schedule.warmup_steps to " +
                       std::to_string(share_of(kWarmupShareAdvised, schedule.steps)));
  }
  if (schedule.teacher_temperature_steps > schedule.steps &&
      schedule.teacher_temperature_start != schedule.teacher_temperature_end) {
    warnings.push_back(
        "the teacher's temperature never comes to its end value, since its warm-up is longer than the run; "
        "set schedule.teacher_temperature_steps to " +
        std::to_string(share_of(.3, schedule.steps)));
  }
  if (const double share = static_cast<double>(schedule.freeze_last_layer_steps) / steps;
      share > kFrozenShareMax) {
    warnings.push_back("prototypes stay as they were drawn for " + percent(std::min(share, 1.0)) +
                       " of the run; set schedule.freeze_last_layer_steps to " +
                       std::to_string(share_of(.01, schedule.steps)));
  }
  const double remembered = 1 / std::max(1 - schedule.momentum_start, 1e-9);
  if (remembered > kRememberedShareMax * steps) {
    warnings.push_back("the averaged model remembers about " +
                       grouped(std::llround(std::min(remembered, 1e9))) + " steps of a run of " +
                       grouped(schedule.steps) +
                       ", so it keeps much of its first weights; set schedule.momentum_start to " +
                       short_number(std::max(1 - 10 / steps, 0.0)) + " or less");
  }
}

void warn_of_division(const TrainingRun& run, std::vector<std::string>& warnings) {
  if (run.ranks > run.shards) {
    warnings.push_back(std::to_string(run.ranks) + " ranks are more than the " + std::to_string(run.shards) +
                       " shards there are, which is refused; set shards to a multiple of " +
                       std::to_string(run.ranks));
  } else if (run.shards % run.ranks != 0) {
    warnings.push_back(std::to_string(run.ranks) + " ranks share " + std::to_string(run.shards) +
                       " shards unevenly: each step waits for a rank with " +
                       std::to_string(run.shards_a_rank()) +
                       "; another number of ranks, or shards a multiple of it, is faster");
  }
  if (run.dataset_pictures && *run.dataset_pictures < run.batch_size) {
    warnings.push_back("the dataset has " + grouped(*run.dataset_pictures) +
                       " pictures, fewer than a batch of " + grouped(run.batch_size) +
                       ": the same ones come several times in a step; lower batch_size");
  }
}

}  // namespace

std::vector<std::string> training_warnings(const TrainingRun& run) {
  std::vector<std::string> warnings;
  warn_of_division(run, warnings);
  warn_of_batch(run, warnings);
  warn_of_lengths(run, warnings);
  return warnings;
}

}  // namespace paddock::spec
