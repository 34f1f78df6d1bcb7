#include "jobs/training.h"

#include <chrono>
#include <cmath>
#include <iostream>
#include <limits>
#include <stdexcept>

#include "jobs/checkpoint_writer.h"
#include "jobs/devices.h"
#include "jobs/heldout_loss.h"
#include "jobs/model_checkpoint.h"
#include "jobs/step_log.h"
#include "jobs/stop_request.h"
#include "jobs/training_batches.h"
#include "jobs/training_loss.h"
#include "jobs/training_schedule.h"
#include "jobs/training_state.h"
#include "jobs/value_or_throw.h"
#include "model/ema_teacher.h"

namespace paddock::jobs {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// So many steps without a finite loss end the run: it won't recover, and a person should look.
constexpr std::int64_t kSkippedInARowMax = 10;
constexpr auto kProgressInterval = std::chrono::milliseconds(500);

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

storage::ShardSet open_split(storage::Disk& disk, const TrainingPlan& plan, const char* split) {
  return value_or_throw(storage::ShardSet::open(disk, fs::path(plan.data) / split),
                        std::string("data: opening the ") + split + " split");
}

// The options that a run may be continued with under other values: they change what is kept, not what is computed.
nlohmann::json identity_of(nlohmann::json options) {
  if (options.contains("run")) {
    for (const char* key : {"checkpoint_every", "keep_checkpoints", "loader_threads", "cache_megabytes"})
      options["run"].erase(key);
  }
  return options;
}

class Training {
 public:
  Training(const TrainingPlan& plan, const fs::path& dir, const RankEnvironment& environment,
           model::Collective& ranks, ReportChannel& report, const TrainingHooks& hooks)
      : plan_(plan),
        dir_(dir),
        environment_(environment),
        ranks_(ranks),
        report_(report),
        hooks_(hooks),
        device_(choose_device(plan.run.device)),
        train_(open_split(disk_, plan, "train")),
        state_(
            plan.student,
            {plan.schedule.layerwise_decay, plan.schedule.patch_embed_lr_mult, plan.student.backbone.depth},
            plan.loss.centering == "softmax" ? model::Centering::kSoftmax : model::Centering::kSinkhornKnopp,
            plan.seed, device_) {
    if (plan.run.heldout_every > 0) {
      test_.emplace(open_split(disk_, plan, "test"));
      heldout_.emplace(plan_, *test_, ranks_, device_);
    }
    if (plan.frozen_teacher) {
      frozen_teacher_.emplace(*plan.frozen_teacher, device_);
      model::load_weights(frozen_teacher_->parameters(), plan.frozen_weights);
    }
    compute_ = choose_compute_type(plan.run.precision, device_);
  }

  TrainingEnd run() {
    begin_or_resume();
    if (state_.step == 0) measure_heldout();
    data::Loader loader(train_, loader_options(plan_, ranks_.rank(), ranks_.ranks()),
                        static_cast<std::uint64_t>(state_.step));
    while (state_.step < plan_.schedule.steps) {
      const auto begin = Clock::now();
      const auto batch = to_tensors(loader.next(), plan_, device_);
      const double waited = seconds_since(begin);
      const StepNumbers numbers = step(batch);
      log_time(begin, waited, numbers);
      const bool is_last = state_.step == plan_.schedule.steps;
      if (heldout_ && (is_last || state_.step % plan_.run.heldout_every == 0)) measure_heldout();
      if (is_last || numbers.is_stopping || state_.step % plan_.run.checkpoint_every == 0) save();
      if (hooks_.after_step) hooks_.after_step(state_.step);
      if (numbers.is_stopping && !is_last) {
        if (writer_) writer_->finish();
        return TrainingEnd::kStopped;
      }
    }
    for (const auto& bad : loader.quarantined())
      std::cerr << "picture " << bad.key << " was put aside: " << bad.reason << "; sample " << bad.replacement
                << " stood in\n";
    finish();
    return TrainingEnd::kFinished;
  }

 private:
  const model::HeadedBackbone& teacher() const { return frozen_teacher_ ? *frozen_teacher_ : state_.average; }

  // One step of DINOv2.
  StepNumbers step(const TrainingBatch& batch) {
    const StepValues values = values_at(plan_.schedule, plan_.batch_size, state_.step);
    state_.student_parameters.zero_gradients();
    const auto losses = model::self_distillation_losses(
        state_.student, teacher(), state_.targets, batch.crops, loss_options(plan_),
        values.teacher_temperature, ranks_, kept_samples(plan_.seed, state_.step, ranks_.rank()));
    losses.total.backward();
    const StepNumbers numbers = share_numbers(losses, batch.plain.samples_hash, is_stop_requested(), ranks_);
    const double norm = share_gradients();
    if (std::isfinite(numbers.loss()) && std::isfinite(norm)) {
      state_.optimiser.step(values.optimiser);
      model::move_teacher(state_.average_parameters, state_.student_parameters, values.momentum);
      state_.skipped_in_a_row = 0;
    } else {
      ++state_.skipped;
      ++state_.skipped_in_a_row;
    }
    ++state_.step;
    log_step(numbers, values, norm);
    if (state_.skipped_in_a_row >= kSkippedInARowMax)
      throw std::runtime_error(
          "step " + std::to_string(state_.step) + ": no finite loss or gradient for " +
          std::to_string(kSkippedInARowMax) +
          " steps in a row; lower schedule.base_lr or use fp32, and resume from an older checkpoint");
    return numbers;
  }

  // Means of the gradients over ranks, clipped network by network. Returns the norm of all of them before clipping.
  double share_gradients() {
    const torch::NoGradGuard no_grad;
    auto& gradients = state_.student_parameters.gradients();
    if (ranks_.ranks() > 1) {
      ranks_.all_reduce_sum(gradients);
      gradients.div_(static_cast<double>(ranks_.ranks()));
    }
    double squares = 0;
    for (const char* network : {"backbone.", "dino_head.", "ibot_head."}) {
      const double norm = model::clip_gradients(state_.student_parameters, network, plan_.schedule.clip);
      squares += norm * norm;
    }
    return std::sqrt(squares);
  }

  void begin_or_resume() {
    if (ranks_.rank() == 0) {
      fs::create_directories(dir_);
      writer_.emplace(dir_, environment_.fence, plan_.run.keep_checkpoints, report_);
      auto newest =
          storage::load_newest_checkpoint(disk_, dir_, [](const fs::path& path, const Error& error) {
            std::cerr << "checkpoint " << path.string() << " was passed over: " << error.message << '\n';
          });
      if (newest)
        resume(*newest);
      else if (newest.error().code != Code::kNotFound)
        throw_error(newest.error(), "looking for a checkpoint to resume from");
      metrics_.emplace(dir_ / "metrics.jsonl", state_.step);
      timing_.emplace(dir_ / "timing.jsonl", state_.step);
      heldout_log_.emplace(dir_ / "heldout.jsonl", newest ? state_.step : -1);
      // Who worked on this run, and from where: every attempt stays on record.
      StepLog(dir_ / "attempts.jsonl", std::numeric_limits<std::int64_t>::max())
          .append({{"step", state_.step}, {"fence", environment_.fence}, {"resumed", newest.has_value()}});
    }
    auto type = torch::tensor({static_cast<std::int64_t>(compute_)}, torch::kInt64);
    ranks_.broadcast(type, 0);
    compute_ = static_cast<torch::ScalarType>(type.item<std::int64_t>());
    state_.broadcast(ranks_);
    state_.student.set_compute_type(compute_);
    state_.average.set_compute_type(compute_);
    if (frozen_teacher_) frozen_teacher_->set_compute_type(compute_);
  }

  void resume(const storage::Checkpoint& checkpoint) {
    const auto& state = checkpoint.state();
    if (identity_of(state.value("options", nlohmann::json())) != identity_of(plan_.options))
      throw std::invalid_argument(dir_.string() +
                                  " holds a run with other options; give this one another folder");
    if (state.value("dataset", "") != train_.hash())
      throw std::invalid_argument(dir_.string() + " holds a run on another dataset than " + plan_.data +
                                  " is now");
    if (state.value("teacher_hash", "") != plan_.frozen_hash)
      throw std::invalid_argument(dir_.string() + " holds a run with another teacher");
    compute_ = state.value("precision", "fp32") == "bf16" ? torch::kBFloat16 : torch::kFloat32;
    state_.restore(checkpoint);
    std::cerr << "resumed at step " << state_.step << " from " << checkpoint.info().path.string() << '\n';
  }

  nlohmann::json about() const {
    nlohmann::json about{{"kind", plan_.kind},
                         {"options", plan_.options},
                         {"dataset", train_.hash()},
                         {"backbone", backbone_to_json(plan_.student.backbone)},
                         {"dino_head", head_to_json(state_.student.dino_head.options())},
                         {"precision", compute_ == torch::kBFloat16 ? "bf16" : "fp32"},
                         {"world", ranks_.ranks()},
                         {"samples", state_.step * plan_.batch_size}};
    if (state_.student.ibot_head) about["ibot_head"] = head_to_json(state_.student.ibot_head->options());
    if (plan_.frozen_teacher) about["teacher_hash"] = plan_.frozen_hash;
    return about;
  }

  void save() {
    if (!writer_) return;
    metrics_->sync();  // the checkpoint must never be ahead of what led to it
    heldout_log_->sync();
    writer_->write(state_.snapshot(about()));
  }

  void measure_heldout() {
    if (!heldout_) return;
    const double loss = heldout_->measure(state_.student, teacher(), state_.targets);
    if (heldout_log_) heldout_log_->append({{"step", state_.step}, {"loss", loss}});
  }

  void log_step(const StepNumbers& numbers, const StepValues& values, double norm) {
    if (!metrics_) return;
    metrics_->append({{"step", state_.step},
                      {"loss", numbers.loss()},
                      {"dino_local", numbers.dino_local},
                      {"dino_global", numbers.dino_global},
                      {"ibot", numbers.ibot},
                      {"koleo", numbers.koleo},
                      {"lr", values.optimiser.lr},
                      {"wd", values.optimiser.weight_decay},
                      {"momentum", values.momentum},
                      {"teacher_temp", values.teacher_temperature},
                      {"grad_norm", norm},
                      {"images", state_.step * plan_.batch_size},
                      {"samples_hash", numbers.samples_hash},
                      {"skipped", state_.skipped}});
  }

  void log_time(Clock::time_point begin, double waited, const StepNumbers& numbers) {
    if (!timing_) return;
    const double seconds = seconds_since(begin);
    mean_seconds_ = mean_seconds_ == 0 ? seconds : .9 * mean_seconds_ + .1 * seconds;
    timing_->append({{"step", state_.step},
                     {"fence", environment_.fence},
                     {"seconds", seconds},
                     {"data_seconds", waited},
                     {"images_per_s", static_cast<double>(plan_.batch_size) / seconds}});
    const auto now = Clock::now();
    if (now - reported_ < kProgressInterval && state_.step != plan_.schedule.steps) return;
    reported_ = now;
    report_.progress(
        {{"phase", "train"},
         {"step", state_.step},
         {"steps", plan_.schedule.steps},
         {"loss", numbers.loss()},
         {"rate", static_cast<double>(plan_.batch_size) / mean_seconds_},
         {"unit", "images/s"},
         {"seconds_left", mean_seconds_ * static_cast<double>(plan_.schedule.steps - state_.step)}});
  }

  void finish() {
    if (!writer_) return;
    auto info = writer_->finish();
    if (!info) {  // it was finished before: nothing was written this time
      auto checkpoints =
          value_or_throw(storage::list_checkpoints(disk_, dir_), "finding the final checkpoint");
      if (checkpoints.empty() || checkpoints.front().step != state_.step)
        throw std::runtime_error(dir_.string() + ": the final checkpoint is gone");
      info = checkpoints.front();
    }
    timing_->sync();
    report_.artifact("checkpoint", info->path.string(), info->hash);
    report_.artifact("run", dir_.string(), info->hash);
  }

  const TrainingPlan& plan_;
  const fs::path dir_;
  const RankEnvironment environment_;
  model::Collective& ranks_;
  ReportChannel& report_;
  const TrainingHooks& hooks_;
  storage::RealDisk disk_;
  const torch::Device device_;
  torch::ScalarType compute_ = torch::kFloat32;
  storage::ShardSet train_;
  std::optional<storage::ShardSet> test_;
  std::optional<HeldoutLoss> heldout_;
  std::optional<model::HeadedBackbone> frozen_teacher_;
  TrainingState state_;
  // Rank 0 only.
  std::optional<StepLog> metrics_, timing_, heldout_log_;
  std::optional<CheckpointWriter> writer_;
  Clock::time_point reported_{};
  double mean_seconds_ = 0;
};

}  // namespace

TrainingEnd train(const TrainingPlan& plan, const std::filesystem::path& dir,
                  const RankEnvironment& environment, model::Collective& ranks, ReportChannel& report,
                  const TrainingHooks& hooks) {
  if (plan.batch_size % ranks.ranks() != 0 || plan.batch_size / ranks.ranks() < 2)
    throw std::invalid_argument("batch_size is " + std::to_string(plan.batch_size) +
                                ", must be a multiple of the " + std::to_string(ranks.ranks()) +
                                " ranks and at least two pictures each");
  return Training(plan, dir, environment, ranks, report, hooks).run();
}

model::VisionTransformerOptions backbone_options(const spec::BackboneSpec& given, std::int64_t image_size) {
  const spec::BackboneSpec backbone = spec::resolved(given);
  model::VisionTransformerOptions options;
  options.image_size = image_size;
  options.patch_size = backbone.patch_size;
  options.embed_dim = backbone.embed_dim;
  options.depth = backbone.depth;
  options.heads = backbone.heads;
  options.registers = backbone.registers;
  options.ffn = backbone.ffn;
  options.layerscale = backbone.layerscale;
  options.drop_path = backbone.drop_path;
  // As the released models: with registers the table of positions is resized exactly and smoothly.
  options.interpolate_antialias = backbone.registers > 0;
  options.interpolate_offset = backbone.registers > 0 ? 0 : .1;
  return options;
}

model::DinoHeadOptions head_options(const spec::HeadSpec& head) {
  model::DinoHeadOptions options;
  options.prototypes = head.prototypes;
  options.hidden = head.hidden;
  options.bottleneck = head.bottleneck;
  options.layers = head.layers;
  return options;
}

}  // namespace paddock::jobs
