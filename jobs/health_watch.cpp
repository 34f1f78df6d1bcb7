#include "jobs/health_watch.h"

#include <algorithm>
#include <cmath>

namespace paddock::jobs {
namespace {

constexpr double kSpreadMin = .02;      // a new network has 0.2 and more, a trained one about 0.9
constexpr double kRankMin = 1.5;        // directions that the features use
constexpr double kLossRiseMax = 1.5;    // of the smoothed loss over its least
constexpr double kLossSmoothing = .02;  // about the last 50 steps
constexpr std::int64_t kLossesMin = 100;
constexpr double kSlowerMax = 1.5;  // than the median of the ranks
constexpr std::int64_t kTimedStepsMin = 20;

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

}  // namespace

std::optional<std::string> HealthWatch::judge_health(std::int64_t step, const model::TargetHealth& targets,
                                                     const model::FeatureHealth& features) {
  const bool are_features_alike = features.spread < kSpreadMin || features.effective_rank < kRankMin;
  const bool was_collapsed = is_collapsed_;
  is_collapsed_ = are_features_alike;
  if (was_collapsed || !is_collapsed_) return std::nullopt;
  return "step " + std::to_string(step) + ": the features have collapsed (spread " +
         short_number(features.spread) + ", effective rank " + short_number(features.effective_rank) +
         ", targets' entropy " + short_number(targets.entropy) + " of log K, KL to uniform " +
         short_number(targets.kl_to_uniform) +
         "): stop the run; raise teacher_temperature_start or loss.koleo_weight, or lower schedule.base_lr";
}

std::optional<std::string> HealthWatch::judge_loss(std::int64_t step, double loss) {
  if (!std::isfinite(loss)) return std::nullopt;
  mean_loss_ = losses_ == 0 ? loss : (1 - kLossSmoothing) * mean_loss_ + kLossSmoothing * loss;
  ++losses_;
  if (losses_ < kLossesMin) {
    least_loss_ = mean_loss_;
    return std::nullopt;
  }
  least_loss_ = std::min(least_loss_, mean_loss_);
  const bool was_diverged = is_diverged_;
  is_diverged_ = mean_loss_ > kLossRiseMax * least_loss_;
  if (was_diverged || !is_diverged_) return std::nullopt;
  return "step " + std::to_string(step) + ": the loss diverges (" + short_number(mean_loss_) +
         " over the last steps, " + short_number(least_loss_) +
         " at its best): lower schedule.base_lr or schedule.clip";
}

std::optional<std::string> HealthWatch::judge_ranks(std::int64_t step, const std::vector<double>& seconds) {
  if (seconds.size() < 2) return std::nullopt;
  if (mean_seconds_.size() != seconds.size()) mean_seconds_ = seconds, timed_steps_ = 0;
  for (std::size_t rank = 0; rank < seconds.size(); ++rank)
    mean_seconds_[rank] = .9 * mean_seconds_[rank] + .1 * seconds[rank];
  if (++timed_steps_ < kTimedStepsMin) return std::nullopt;
  auto sorted = mean_seconds_;
  std::sort(sorted.begin(), sorted.end());
  const double median = sorted[(sorted.size() - 1) / 2];
  const auto slowest = std::max_element(mean_seconds_.begin(), mean_seconds_.end());
  const std::int64_t slow =
      *slowest > kSlowerMax * median ? std::distance(mean_seconds_.begin(), slowest) : -1;
  const bool is_news = slow >= 0 && slow != slow_rank_;
  slow_rank_ = slow;
  if (!is_news) return std::nullopt;
  return "step " + std::to_string(step) + ": rank " + std::to_string(slow) + " works " +
         short_number(*slowest) + " s a step, the others " + short_number(median) + " s: look at its node";
}

std::string HealthWatch::state() const {
  if (is_collapsed_) return "collapse";
  if (is_diverged_) return "divergence";
  if (slow_rank_ >= 0) return "slow rank " + std::to_string(slow_rank_);
  return "";
}

}  // namespace paddock::jobs
