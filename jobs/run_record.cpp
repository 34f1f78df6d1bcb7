#include "jobs/run_record.h"

#include <fstream>
#include <iostream>
#include <limits>
#include <stdexcept>

#include "jobs/value_or_throw.h"

namespace paddock::jobs {
namespace {

using Clock = std::chrono::steady_clock;
constexpr auto kProgressInterval = std::chrono::milliseconds(500);
constexpr std::int64_t kEverything = std::numeric_limits<std::int64_t>::max();

HeldoutLosses losses_of(const std::filesystem::path& path) {
  HeldoutLosses losses;
  std::ifstream in(path);
  for (std::string text; std::getline(in, text);) {
    const auto line = nlohmann::json::parse(text, nullptr, false);
    if (line.is_object() && line.contains("step") && line.contains("loss") && line["loss"].is_number())
      losses[line["step"].get<std::int64_t>()] = line["loss"].get<double>();
  }
  return losses;
}

}  // namespace

RunRecord::RunRecord(const TrainingPlan& plan, const std::filesystem::path& dir,
                     const RankEnvironment& environment, ReportChannel& report)
    : plan_(plan),
      dir_(dir),
      fence_(environment.fence),
      report_(report),
      writer_(dir, environment.fence, plan.run, report,
              {[this] { return sync_logs(); },
               [this](std::int64_t step, const std::string& sentence) { event(step, sentence); }}),
      events_(dir / "events.jsonl", kEverything) {}

void RunRecord::open_logs(std::int64_t step, bool is_new) {
  metrics_.emplace(dir_ / "metrics.jsonl", step);
  timing_.emplace(dir_ / "timing.jsonl", step);
  heldout_log_.emplace(dir_ / "heldout.jsonl", is_new ? -1 : step);
  knn_log_.emplace(dir_ / "knn.jsonl", is_new ? -1 : step);
  health_log_.emplace(dir_ / "health.jsonl", step);
  heldout_losses_ = losses_of(dir_ / "heldout.jsonl");
}

void RunRecord::begin_attempt(std::int64_t step, std::int64_t ranks, bool is_resumed) {
  // Who worked on this run, and from where: every attempt stays on record.
  StepLog(dir_ / "attempts.jsonl", kEverything)
      .append({{"step", step}, {"fence", fence_}, {"ranks", ranks}, {"resumed", is_resumed}});
}

void RunRecord::step(const TrainingState& state, const StepNumbers& numbers, const StepValues& values,
                     double norm) {
  metrics_->append({{"step", state.step},
                    {"loss", numbers.loss()},
                    {"dino_local", numbers.dino_local},
                    {"dino_global", numbers.dino_global},
                    {"ibot", numbers.ibot},
                    {"koleo", numbers.koleo},
                    {"lr", values.optimiser.lr},
                    {"wd", values.optimiser.weight_decay},
                    {"momentum", values.optimiser.momentum},
                    {"teacher_temp", values.teacher_temperature},
                    {"grad_norm", norm},
                    {"images", state.step * plan_.batch_size},
                    {"samples_hash", numbers.samples_hash},
                    {"skipped", state.skipped}});
  if (const auto sentence = watch_.judge_loss(state.step, numbers.loss())) event(state.step, *sentence);
}

void RunRecord::time(const TrainingState& state, const StepNumbers& numbers, double seconds,
                     double data_seconds) {
  mean_seconds_ = mean_seconds_ == 0 ? seconds : .9 * mean_seconds_ + .1 * seconds;
  timing_->append({{"step", state.step},
                   {"fence", fence_},
                   {"seconds", seconds},
                   {"data_seconds", data_seconds},
                   {"rank_seconds", numbers.rank_seconds},
                   {"images_per_s", static_cast<double>(plan_.batch_size) / seconds}});
  if (const auto sentence = watch_.judge_ranks(state.step, numbers.rank_seconds))
    event(state.step, *sentence);
  writer_.look();
  const auto now = Clock::now();
  if (now - reported_ < kProgressInterval && state.step != plan_.schedule.steps) return;
  reported_ = now;
  nlohmann::json progress{
      {"phase", "train"},
      {"step", state.step},
      {"steps", plan_.schedule.steps},
      {"loss", numbers.loss()},
      {"quarantined", numbers.quarantined},
      {"rate", static_cast<double>(plan_.batch_size) / mean_seconds_},
      {"unit", "images/s"},
      {"seconds_left", mean_seconds_ * static_cast<double>(plan_.schedule.steps - state.step)}};
  if (writer_.is_refused())
    progress["health"] = "the disk takes no checkpoint";
  else if (const auto health = watch_.state(); !health.empty())
    progress["health"] = health;
  report_.progress(progress);
}

void RunRecord::heldout(std::int64_t step, double loss) {
  heldout_log_->append({{"step", step}, {"loss", loss}});
  heldout_losses_[step] = loss;
}

void RunRecord::neighbours(std::int64_t step, const NeighbourAccuracy::Measured& measured) {
  knn_log_->append({{"step", step},
                    {"accuracy", measured.accuracy},
                    {"bank", measured.bank},
                    {"judged", measured.judged}});
}

void RunRecord::health(std::int64_t step, const model::TargetHealth& targets,
                       const model::FeatureHealth& features) {
  health_log_->append({{"step", step},
                       {"target_entropy", targets.entropy},
                       {"target_kl_to_uniform", targets.kl_to_uniform},
                       {"feature_spread", features.spread},
                       {"feature_rank", features.effective_rank}});
  if (const auto sentence = watch_.judge_health(step, targets, features)) event(step, *sentence);
}

void RunRecord::event(std::int64_t step, const std::string& sentence) {
  std::cerr << sentence << '\n';
  events_.append({{"step", step}, {"fence", fence_}, {"event", sentence}});
}

void RunRecord::save(Snapshot snapshot) {
  writer_.write(std::move(snapshot), heldout_losses_);
}

std::string RunRecord::sync_logs() {
  for (auto* log : {&metrics_, &heldout_log_, &knn_log_, &health_log_}) {
    if (auto problem = (*log)->sync(); !problem.empty()) return problem;
  }
  return {};
}

void RunRecord::finish_writing() {
  writer_.finish();
}

bool RunRecord::finish(std::int64_t step, std::chrono::milliseconds patience) {
  if (!writer_.finish_within(patience)) return false;
  auto info = writer_.newest();
  if (!info) {  // it was finished before: nothing was written this time
    storage::RealDisk disk;
    auto checkpoints = value_or_throw(storage::list_checkpoints(disk, dir_), "finding the final checkpoint");
    if (checkpoints.empty() || checkpoints.front().step != step)
      throw std::runtime_error(dir_.string() + ": the final checkpoint is gone");
    info = checkpoints.front();
  }
  timing_->sync();
  events_.sync();
  report_.artifact("checkpoint", info->path.string(), info->hash);
  report_.artifact("run", dir_.string(), info->hash);
  return true;
}

}  // namespace paddock::jobs
