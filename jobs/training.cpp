#include "jobs/training.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <thread>
#include <utility>

#include "jobs/devices.h"
#include "jobs/heldout_loss.h"
#include "jobs/model_checkpoint.h"
#include "jobs/neighbour_accuracy.h"
#include "jobs/quarantine_log.h"
#include "jobs/run_record.h"
#include "jobs/spec/distill.h"
#include "jobs/spec/job_kinds.h"
#include "jobs/start_summary.h"
#include "jobs/stop_request.h"
#include "jobs/training_batches.h"
#include "jobs/training_loss.h"
#include "jobs/training_pictures.h"
#include "jobs/training_schedule.h"
#include "jobs/training_state.h"
#include "jobs/value_or_throw.h"
#include "jobs/watchdog.h"

namespace paddock::jobs {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

// So many steps without a finite loss: the run won't recover by itself and goes back to an older checkpoint. When it has done
// so a few times in vain, a person should look.
constexpr std::int64_t kSkippedInARowMax = 10, kRollBacksMax = 3;

// Between two looks whether the other ranks are still there, while the disk refuses the final checkpoint.
constexpr std::chrono::seconds kDiskPatience(2);

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// A run is continued with other values of what changes nothing.
nlohmann::json identity_of(const nlohmann::json& options) {
  return spec::bound_options(*spec::find_job_kind("pretrain"), options);
}

class Training {
 public:
  Training(TrainingPlan plan, const fs::path& dir, const RankEnvironment& environment,
           model::Collective& ranks, ReportChannel& report, const TrainingHooks& hooks,
           std::shared_ptr<RollCall> roll_call)
      : plan_(std::move(plan)),
        dir_(dir),
        environment_(environment),
        ranks_(ranks),
        shards_(ranks, plan_.shards),
        report_(report),
        hooks_(hooks),
        device_(choose_device(plan_.run.device)),
        splits_(open_pictures(disk_, plan_, dir_, ranks_, report_)),
        state_(
            students_of(plan_),
            {plan_.schedule.layerwise_decay, plan_.schedule.patch_embed_lr_mult, plan_.seed,
             plan_.run.weights == "sliced" ? HeldWeights::kSliced : HeldWeights::kWhole},
            plan_.loss.centering == "softmax" ? model::Centering::kSoftmax : model::Centering::kSinkhornKnopp,
            device_, shards_),
        watchdog_({.limit = std::chrono::seconds(plan_.run.hang_seconds),
                   .silence_limit = std::chrono::seconds(plan_.run.silent_seconds),
                   .rank = environment.rank},
                  watchdog_calls(), std::move(roll_call)) {
    if (splits_.test) heldout_.emplace(plan_, *splits_.test, shards_, device_, quarantine_);
    if (splits_.test && plan_.run.knn_every > 0 && plan_.run.knn_every <= plan_.schedule.steps) {
      neighbours_.emplace(plan_, splits_.train, splits_.test, device_,
                          [this] { watchdog_.enter("looking at labelled pictures", state_.step); });
      if (!neighbours_->is_possible()) neighbours_.reset();
    }
    if (plan_.frozen_teacher) {
      frozen_teacher_.emplace(*plan_.frozen_teacher, device_);
      model::load_weights(frozen_teacher_->parameters(), std::exchange(plan_.frozen_weights, {}));
    }
    if (!plan_.initial_weights.empty())
      state_.students.front().pupil.begin_from(std::exchange(plan_.initial_weights, {}));
    for (auto& student : state_.students)
      student.pupil.student.backbone.set_activation_checkpointing(plan_.run.activation_checkpointing);
    const bool is_sliced = plan_.run.weights == "sliced";  // then there is bfloat16 alone, and no choice
    compute_ = is_sliced ? torch::kBFloat16 : choose_compute_type(plan_.run.precision, device_);
  }

  TrainingEnd run() {
    begin_or_resume();
    if (state_.step == 0) {
      measure_heldout();
      measure_neighbours();
    }
    for (;;) {
      switch (run_until_event()) {
        case Event::kRollBack:
          roll_back();
          break;
        case Event::kStopped:
          watchdog_.enter("waiting for the last checkpoint to be written", state_.step, ranks_.ranks() > 1);
          if (record_) record_->finish_writing();
          ranks_.barrier();  // who leaves falls silent, and would be taken for the one that hangs
          return TrainingEnd::kStopped;
        case Event::kFinished:
          return finish();
      }
    }
  }

 private:
  enum class Event { kFinished, kStopped, kRollBack };

  // Every rank stays until the disk has taken the final checkpoint, and those of several students after it. Collective.
  TrainingEnd finish() {
    if (!wait_for_disk([this] { return record_->finish_within(kDiskPatience); }))
      return TrainingEnd::kStopped;
    for (Student& student : state_.students) {
      if (student.name.empty()) continue;
      watchdog_.enter("collecting a student's final networks", state_.step, ranks_.ranks() > 1);
      state_.settle();
      const CheckpointFiles networks = student.pupil.networks();
      if (!wait_for_disk([&] { return export_student(student, networks); })) return TrainingEnd::kStopped;
    }
    if (record_) record_->report_end(state_.step);
    ranks_.barrier();
    return TrainingEnd::kFinished;
  }

  // `is_written`: asked on rank 0, where it waits a little for a disk that refuses and one that is slow. False: asked to stop while
  // the disk refuses. Collective.
  bool wait_for_disk(const std::function<bool()>& is_written) {
    for (;;) {
      watchdog_.enter("waiting for the disk to take the final checkpoint", state_.step, ranks_.ranks() > 1);
      auto end = torch::zeros({1}, torch::kInt64);
      if (record_ && !is_written()) end.fill_(is_stop_requested() && record_->is_refused() ? 2 : 1);
      ranks_.broadcast(end, 0);
      if (end.item<std::int64_t>() != 1) return end.item<std::int64_t>() == 0;
    }
  }

  const model::HeadedBackbone& teacher() const {
    return frozen_teacher_ ? *frozen_teacher_ : state_.students.front().pupil.average;
  }

  Event run_until_event() {
    auto options = loader_options(plan_, shards_.own());
    options.on_quarantined = [this](const data::Quarantined& picture) { quarantine_.add("train", picture); };
    data::Loader loader(*splits_.train, options, static_cast<std::uint64_t>(state_.data_step()));
    while (state_.step < plan_.schedule.steps) {
      const auto begin = Clock::now();
      watchdog_.enter("reading pictures", state_.step);
      const auto batches = next_batches(loader, plan_, shards_.own(), device_);
      const double data_seconds = seconds_since(begin);
      const StepNumbers numbers = step(batches);
      if (record_) record_->time(state_, numbers, seconds_since(begin), data_seconds);
      if (state_.worst().skipped_in_a_row >= kSkippedInARowMax) return Event::kRollBack;
      const bool is_last = state_.step == plan_.schedule.steps;
      if (heldout_ && (is_last || state_.step % plan_.run.heldout_every == 0)) measure_heldout();
      if (neighbours_ && (is_last || state_.step % plan_.run.knn_every == 0)) measure_neighbours();
      // Nothing was learnt in a bad step: its checkpoint would only push out a good one.
      const bool is_due =
          state_.step % plan_.run.checkpoint_every == 0 && state_.worst().skipped_in_a_row == 0;
      if (is_last || numbers.is_stopping || is_due) save();
      if (hooks_.after_step) {
        state_.settle();
        hooks_.after_step(state_.step);
      }
      if (numbers.is_stopping && !is_last) return Event::kStopped;
    }
    return Event::kFinished;
  }

  // One step of DINOv2: the teacher looks at all shards, the targets are balanced over all of them, each student learns from
  // one after the other. A step that is not finite for one student is none for that student alone.
  StepNumbers step(const std::vector<TrainingBatch>& batches) {
    const auto begin = Clock::now();
    const double waited = ranks_.seconds_waited();
    StepValues values = values_at(plan_.schedule, plan_.batch_size, state_.step);
    if (state_.step < plan_.head_warmup_steps) values.optimiser.backbone_lr_scale = 0;
    watchdog_.enter("the teacher's pass and balancing its targets over the ranks", state_.step,
                    ranks_.ranks() > 1);
    if (!frozen_teacher_) state_.students.front().pupil.wait_for_average();
    const auto taught =
        model::teach(teacher(), state_.targets, crops_of(batches), values.teacher_temperature, shards_);
    std::vector<ShardNumbers> shard_numbers;
    for (const auto& batch : batches) shard_numbers.push_back({{}, batch.plain.samples_hash});
    for (Student& student : state_.students) learn(student, batches, taught, shard_numbers);
    finish_own_work(device_);
    const double seconds = seconds_since(begin) - (ranks_.seconds_waited() - waited);
    watchdog_.enter("the update together with the other ranks", state_.step, ranks_.ranks() > 1);
    const StepNumbers numbers =
        share_numbers(shard_numbers, {is_stop_requested(), quarantine_.count(), seconds}, shards_);
    std::vector<double> norms;
    for (std::size_t i = 0; i < state_.students.size(); ++i)
      norms.push_back(update(state_.students[i], numbers.students[i], values));
    ++state_.step;
    if (record_) record_->step(state_, numbers, values, norms);
    if (plan_.run.health_every > 0 && state_.step % plan_.run.health_every == 0)
      look_at_health(taught, shard_numbers);
    return numbers;
  }

  // The gradients of the own shards, and their losses into `numbers`.
  void learn(Student& student, const std::vector<TrainingBatch>& batches,
             const std::vector<model::Taught>& taught, std::vector<ShardNumbers>& numbers) {
    student.pupil.wait_for_student();
    for (std::size_t i = 0; i < batches.size(); ++i) {
      watchdog_.enter("the student's pass", state_.step);
      const auto losses =
          model::student_losses(student.pupil.student, taught[i], batches[i].crops, loss_options(plan_),
                                kept_samples(plan_.seed, state_.data_step(), batches[i].plain.shard));
      if (losses.total.requires_grad())
        losses.total.backward();  // iBOT alone, and nothing hidden in this shard
      if (hooks_.on_gradients)
        hooks_.on_gradients(state_.data_step(), student.name, student.pupil.student_parameters.gradients());
      student.pupil.gradients.add_shard();
      numbers[i].losses.push_back(losses);
    }
  }

  // Returns the gradient's norm.
  double update(Student& student, const StudentLosses& losses, const StepValues& values) {
    const bool is_finite = std::isfinite(losses.loss());
    const double norm = student.pupil.update(values.optimiser, plan_.schedule.clip, is_finite);
    const bool is_taken = is_finite && std::isfinite(norm);
    student.skipped += is_taken ? 0 : 1;
    student.skipped_in_a_row = is_taken ? 0 : student.skipped_in_a_row + 1;
    return norm;
  }

  // The features looked at are the teacher's; of several students, who share it, each one's own.
  void look_at_health(const std::vector<model::Taught>& taught, const std::vector<ShardNumbers>& numbers) {
    std::vector<torch::Tensor> targets;
    for (const auto& shard : taught) targets.push_back(shard.cls_2BK);
    const auto target_health = model::target_health(targets, shards_);
    std::vector<model::FeatureHealth> feature_health;
    for (std::size_t student = 0; student < state_.students.size(); ++student) {
      std::vector<torch::Tensor> features;
      for (std::size_t i = 0; i < taught.size(); ++i)
        features.push_back(plan_.students.empty() ? taught[i].features_2BD
                                                  : numbers[i].losses[student].features_2BD);
      feature_health.push_back(model::feature_health(features, shards_));
    }
    if (record_) record_->health(state_.step, target_health, feature_health);
  }

  void measure_heldout() {
    if (!heldout_) return;
    watchdog_.enter("measuring the held-out loss", state_.step, ranks_.ranks() > 1);
    state_.settle();
    std::vector<const model::HeadedBackbone*> students;
    for (const Student& student : state_.students) students.push_back(&student.pupil.student);
    const auto losses = heldout_->measure(students, teacher(), state_.targets);
    if (record_) record_->heldout(state_.step, losses);
  }

  void measure_neighbours() {
    if (!neighbours_) return;
    state_.settle();
    std::vector<NeighbourAccuracy::Measured> measured;
    for (const Student& student : state_.students)
      measured.push_back(neighbours_->measure(student.pupil.average.backbone, ranks_));
    if (record_) record_->neighbours(state_.step, measured);
  }

  void save() {
    watchdog_.enter("copying the state and waiting for the checkpoint before", state_.step,
                    ranks_.ranks() > 1);
    state_.settle();
    Snapshot snapshot = state_.snapshot(about());
    if (record_) record_->save(std::move(snapshot));
  }

  // On rank 0, once the run's own final checkpoint is durable: one of several students becomes a checkpoint as that of a run for it
  // alone. False: the disk does not take it yet.
  bool export_student(const Student& student, const CheckpointFiles& networks) {
    nlohmann::json alone = about();
    alone.erase("students");
    alone["options"] = spec::options_of_student(plan_.options, student.name);
    alone.update(networks_about(student));
    alone.update(student.counters());
    alone.update(nlohmann::json{
        {"step", state_.step}, {"data_offset", state_.data_offset}, {"rollbacks", state_.rollbacks}});
    if (record_->finish_student(student.name, {state_.step, std::move(alone), networks})) return true;
    std::this_thread::sleep_for(kDiskPatience);  // room on a disk announces itself to nobody
    return false;
  }

  void begin_or_resume() {
    if (ranks_.rank() == 0) {
      fs::create_directories(dir_);
      record_.emplace(plan_, dir_, environment_, report_);
      auto newest =
          storage::load_newest_checkpoint(disk_, dir_, [](const fs::path& path, const Error& error) {
            std::cerr << "checkpoint " << path.string() << " was passed over: " << error.message << '\n';
          });
      if (newest)
        resume(*newest);
      else if (newest.error().code != Code::kNotFound)
        throw_error(newest.error(), "looking for a checkpoint to resume from");
      record_->open_logs(state_.step, !newest);
      record_->begin_attempt(state_.step, ranks_.ranks(), newest.has_value());
      std::cerr << start_summary(plan_, static_cast<std::int64_t>(splits_.train->size()), ranks_.ranks(),
                                 compute_, device_);
    }
    compare_devices(device_, ranks_);
    compare_pictures(*splits_.train, plan_.data, ranks_);
    auto type = torch::tensor({static_cast<std::int64_t>(compute_)}, torch::kInt64);
    ranks_.broadcast(type, 0);
    compute_ = static_cast<torch::ScalarType>(type.item<std::int64_t>());
    state_.share(ranks_);
    for (Student& student : state_.students) student.pupil.set_compute_type(compute_);
    if (frozen_teacher_) frozen_teacher_->set_compute_type(compute_);
  }

  void resume(const storage::Checkpoint& checkpoint) {
    const auto& state = checkpoint.state();
    if (identity_of(state.value("options", nlohmann::json())) != identity_of(plan_.options))
      throw std::invalid_argument(dir_.string() +
                                  " holds a run with other options; give this one another folder");
    if (state.value("dataset", "") != splits_.train->hash())
      throw std::invalid_argument(dir_.string() + " holds a run on another dataset than " + plan_.data +
                                  " is now");
    if (state.value("teacher_hash", "") != plan_.frozen_hash)
      throw std::invalid_argument(dir_.string() + " holds a run with another teacher");
    if (state.value("initial_hash", "") != plan_.initial_hash)
      throw std::invalid_argument(dir_.string() + " holds a run that began from other weights");
    compute_ = state.value("precision", "fp32") == "bf16" ? torch::kBFloat16 : torch::kFloat32;
    state_.restore(checkpoint);
    std::cerr << "resumed at step " << state_.step << " from " << checkpoint.info().path.string() << '\n';
  }

  // After a run of steps without a finite loss or gradient: back to the newest checkpoint from before them whose weights are
  // finite, and on with the samples after those that led here. Collective.
  void roll_back() {
    const std::int64_t bad_step = state_.step;
    const std::int64_t resume_data_at = state_.data_step();
    const std::int64_t rollbacks = state_.rollbacks + 1;
    const std::string whose = state_.worst().name.empty() ? "" : " of student " + state_.worst().name;
    const auto give_up = [&](const std::string& why) {
      throw std::runtime_error("step " + std::to_string(bad_step) + ": no finite loss or gradient" + whose +
                               " for " + std::to_string(kSkippedInARowMax) + " steps in a row, and " + why +
                               "; lower schedule.base_lr or use fp32 (with whole weights)");
    };
    if (rollbacks > kRollBacksMax)
      give_up("the run went back " + std::to_string(kRollBacksMax) + " times already");
    watchdog_.enter("going back to an older checkpoint", bad_step, ranks_.ranks() > 1);
    state_.settle();
    auto is_found = torch::zeros({1}, torch::kInt64);
    if (record_) {
      record_->finish_writing();
      is_found.fill_(restore_before(bad_step - kSkippedInARowMax) ? 1 : 0);
    }
    ranks_.broadcast(is_found, 0);
    if (is_found.item<std::int64_t>() == 0)
      give_up("there is no whole checkpoint with finite weights before them");
    state_.share(ranks_);
    state_.data_offset = resume_data_at - state_.step;
    state_.rollbacks = rollbacks;
    for (Student& student : state_.students) student.skipped_in_a_row = 0;
    if (!record_) return;
    record_->open_logs(state_.step, false);
    record_->event(state_.step, "step " + std::to_string(bad_step) + ": no finite loss or gradient" + whose +
                                    " for " + std::to_string(kSkippedInARowMax) +
                                    " steps in a row: went back to step " + std::to_string(state_.step) +
                                    ", and on with other samples");
  }

  // On rank 0. The newest checkpoint of at most `step` with finite weights; later ones are removed.
  bool restore_before(std::int64_t step) {
    const auto all =
        value_or_throw(storage::list_checkpoints(disk_, dir_), "looking for an older checkpoint");
    for (const auto& info : all) {
      if (info.step > step) continue;
      auto checkpoint = storage::load_checkpoint(disk_, info.path);
      if (!checkpoint) continue;
      state_.restore(*checkpoint);
      if (!std::ranges::all_of(state_.students, &Pupil::is_restored_finite, &Student::pupil)) continue;
      value_or_throw(storage::drop_checkpoints_after(disk_, dir_, info.step), "going back");
      return true;
    }
    return false;
  }

  WatchdogCalls watchdog_calls() {
    return {.notice = [this](const Culprit& culprit) { notice_hang(culprit); },
            .went_on = [this](const Culprit& culprit, double seconds) { went_on(culprit, seconds); },
            .end = [this](const std::string& sentence) { end_hanging_rank(sentence); },
            .operations = [this] { return ranks_.operations(); }};
  }

  // On the watchdog's thread, while the loop's own hangs: so nothing of the loop is touched. Another rank says nothing more than
  // its health: it may be rank 0 that hangs.
  void notice_hang(const Culprit& culprit) {
    std::cerr << culprit.sentence << '\n';
    report_.health(culprit.sentence);
    if (culprit.rank == environment_.rank) write_all_stacks();
  }

  void went_on(const Culprit& culprit, double seconds) {
    const std::string sentence = culprit.sentence + "; the run went on after " +
                                 std::to_string(static_cast<std::int64_t>(seconds)) + " s";
    if (record_)
      record_->event(state_.step, sentence);
    else
      std::cerr << sentence << '\n';
    report_.health("");
  }

  void end_hanging_rank(const std::string& sentence) {
    const std::string named = "rank " + std::to_string(environment_.rank) + ", " + sentence;
    std::cerr << named << '\n';
    write_all_stacks();
    report_.failure("unavailable", named);
    std::_Exit(1);
  }

  nlohmann::json about() const {
    nlohmann::json about{{"kind", plan_.kind},
                         {"options", plan_.options},
                         {"dataset", splits_.train->hash()},
                         {"normalization", normalization_to_json(plan_.normalization)},
                         {"precision", compute_ == torch::kBFloat16 ? "bf16" : "fp32"},
                         {"shards", plan_.shards},
                         {"samples", state_.step * plan_.batch_size}};
    for (const Student& student : state_.students)
      (student.name.empty() ? about : about["students"][student.name]).update(networks_about(student));
    if (plan_.frozen_teacher) about["teacher_hash"] = plan_.frozen_hash;
    if (!plan_.initial_hash.empty()) about["initial_hash"] = plan_.initial_hash;
    return about;
  }

  // What a student's networks are, for whoever uses them afterwards.
  static nlohmann::json networks_about(const Student& student) {
    const model::HeadedBackbone& networks = student.pupil.student;
    nlohmann::json about{{"backbone", backbone_to_json(networks.backbone.options())},
                         {"dino_head", head_to_json(networks.dino_head.options())}};
    if (networks.ibot_head) about["ibot_head"] = head_to_json(networks.ibot_head->options());
    return about;
  }

  TrainingPlan plan_;  // but for the frozen teacher's weights, which are gone once they are loaded
  const fs::path dir_;
  const RankEnvironment environment_;
  model::Collective& ranks_;
  const model::Shards shards_;
  ReportChannel& report_;
  const TrainingHooks& hooks_;
  storage::RealDisk disk_;
  const torch::Device device_;
  torch::ScalarType compute_ = torch::kFloat32;
  const data::Splits splits_;
  QuarantineLog quarantine_;
  std::optional<HeldoutLoss> heldout_;
  std::optional<NeighbourAccuracy> neighbours_;
  std::optional<model::HeadedBackbone> frozen_teacher_;
  TrainingState state_;
  std::optional<RunRecord> record_;  // rank 0 only
  Watchdog watchdog_;
};

}  // namespace

TrainingEnd train(TrainingPlan plan, const std::filesystem::path& dir, const RankEnvironment& environment,
                  model::Collective& ranks, ReportChannel& report, const TrainingHooks& hooks,
                  std::shared_ptr<RollCall> roll_call) {
  return Training(std::move(plan), dir, environment, ranks, report, hooks, std::move(roll_call)).run();
}

}  // namespace paddock::jobs
