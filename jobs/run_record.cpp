#include "jobs/run_record.h"

#include <fstream>
#include <iostream>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "jobs/value_or_throw.h"

namespace paddock::jobs {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;
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

std::vector<std::string> names_of(const TrainingPlan& plan) {
  std::vector<std::string> names;
  for (const auto& [name, networks] : students_of(plan)) names.push_back(name);
  return names;
}

std::string of_student(const std::string& name, const std::string& sentence) {
  return name.empty() ? sentence : "student " + name + ", " + sentence;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
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
      events_(dir / "events.jsonl", kEverything),
      names_(names_of(plan)),
      watches_(names_.size()) {}

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
                     const std::vector<double>& norms) {
  Json line{{"step", state.step}, {"loss", numbers.loss()}};
  Json students;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const StudentLosses& losses = numbers.students[i];
    if (has_several()) {
      students[names_[i]] = {{"loss", losses.loss()},
                             {"dino_local", losses.dino_local},
                             {"dino_global", losses.dino_global},
                             {"ibot", losses.ibot},
                             {"koleo", losses.koleo},
                             {"grad_norm", norms[i]},
                             {"skipped", state.students[i].skipped}};
    } else {
      line.update({{"dino_local", losses.dino_local},
                   {"dino_global", losses.dino_global},
                   {"ibot", losses.ibot},
                   {"koleo", losses.koleo}});
    }
    if (const auto sentence = watches_[i].judge_loss(state.step, losses.loss()))
      event(state.step, of_student(names_[i], *sentence));
  }
  line.update({{"lr", values.optimiser.lr},
               {"wd", values.optimiser.weight_decay},
               {"momentum", values.optimiser.momentum},
               {"teacher_temp", values.teacher_temperature}});
  if (!has_several()) line["grad_norm"] = norms.front();
  line.update({{"images", state.step * plan_.batch_size}, {"samples_hash", numbers.samples_hash}});
  if (has_several())
    line["students"] = std::move(students);
  else
    line["skipped"] = state.students.front().skipped;
  metrics_->append(line);
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
  if (const auto sentence = ranks_watch_.judge_ranks(state.step, numbers.rank_seconds))
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
  if (has_several()) progress["loss_of"] = "mean of " + std::to_string(names_.size()) + " students";
  if (writer_.is_refused())
    progress["health"] = "the disk takes no checkpoint";
  else if (const auto health = health_state(); !health.empty())
    progress["health"] = health;
  report_.progress(progress);
}

void RunRecord::heldout(std::int64_t step, const std::vector<double>& losses) {
  Json line{{"step", step}, {"loss", mean(losses)}};
  for (std::size_t i = 0; has_several() && i < names_.size(); ++i)
    line["students"][names_[i]] = {{"loss", losses[i]}};
  heldout_log_->append(line);
  heldout_losses_[step] = mean(losses);
}

void RunRecord::neighbours(std::int64_t step, const std::vector<NeighbourAccuracy::Measured>& measured) {
  std::vector<double> accuracies;
  for (const auto& student : measured) accuracies.push_back(student.accuracy);
  Json line{{"step", step},
            {"accuracy", mean(accuracies)},
            {"bank", measured.front().bank},
            {"judged", measured.front().judged}};
  for (std::size_t i = 0; has_several() && i < names_.size(); ++i)
    line["students"][names_[i]] = {{"accuracy", accuracies[i]}};
  knn_log_->append(line);
}

void RunRecord::health(std::int64_t step, const model::TargetHealth& targets,
                       const std::vector<model::FeatureHealth>& features) {
  Json line{
      {"step", step}, {"target_entropy", targets.entropy}, {"target_kl_to_uniform", targets.kl_to_uniform}};
  for (std::size_t i = 0; i < names_.size(); ++i) {
    (has_several() ? line["students"][names_[i]] : line)
        .update({{"feature_spread", features[i].spread}, {"feature_rank", features[i].effective_rank}});
    if (const auto sentence = watches_[i].judge_health(step, targets, features[i]))
      event(step, of_student(names_[i], *sentence));
  }
  health_log_->append(line);
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

std::string RunRecord::health_state() const {
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (const auto state = watches_[i].state(); !state.empty())
      return has_several() ? state + " of student " + names_[i] : state;
  }
  return ranks_watch_.state();
}

bool RunRecord::finish_student(const std::string& name, const Snapshot& snapshot) {
  const auto info = writer_.write_apart(dir_ / "students" / name, snapshot);
  if (info) report_.artifact("checkpoint-" + name, info->path.string(), info->hash);
  return info.has_value();
}

bool RunRecord::finish_within(std::chrono::milliseconds patience) {
  return writer_.finish_within(patience);
}

void RunRecord::report_end(std::int64_t step) {
  auto info = writer_.newest();
  if (!info) {  // it was finished before: nothing was written this time
    storage::RealDisk disk;
    auto checkpoints = value_or_throw(storage::list_checkpoints(disk, dir_), "finding the final checkpoint");
    if (checkpoints.empty() || checkpoints.front().step != step)
      throw std::runtime_error(dir_.string() + ": the final checkpoint is gone");
    info = checkpoints.front();
  }
  for (StepLog* log : {&*timing_, &events_}) {
    if (const auto problem = log->sync(); !problem.empty())
      std::cerr << "the end of a log may be missing after a power cut: " << problem << '\n';
  }
  if (!has_several()) report_.artifact("checkpoint", info->path.string(), info->hash);
  report_.artifact("run", dir_.string(), info->hash);
}

}  // namespace paddock::jobs
