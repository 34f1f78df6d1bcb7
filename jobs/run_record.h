// jobs/run_record.h – what rank 0 writes of a run: logs, reports to the worker, checkpoints.
// The run's folder: metrics.jsonl (a line a step) and heldout.jsonl, knn.jsonl, health.jsonl (a line a measurement) hold the same bits
// however often the run was killed; timing.jsonl has seconds, which differ; attempts.jsonl who began where, on how many ranks;
// events.jsonl what was noticed: collapse, divergence, slow ranks, roll-backs. Of a run of several students a line has what
// is each student's under "students", by name, and the mean of the losses and accuracies.
// Threads: one owner. Throws std::runtime_error when the disk refuses.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "jobs/checkpoint_writer.h"
#include "jobs/health_watch.h"
#include "jobs/neighbour_accuracy.h"
#include "jobs/rank_environment.h"
#include "jobs/report_channel.h"
#include "jobs/step_log.h"
#include "jobs/training_loss.h"
#include "jobs/training_schedule.h"
#include "jobs/training_state.h"

namespace paddock::jobs {

class RunRecord {
 public:
  RunRecord(const TrainingPlan& plan, const std::filesystem::path& dir, const RankEnvironment& environment,
            ReportChannel& report);

  // The logs go on after `step`; nothing at all when `is_new`.
  void open_logs(std::int64_t step, bool is_new);
  void begin_attempt(std::int64_t step, std::int64_t ranks, bool is_resumed);

  // `norms`: of each student's gradient. What is given for each student here is in the order of the state's.
  void step(const TrainingState& state, const StepNumbers& numbers, const StepValues& values,
            const std::vector<double>& norms);
  // Of the whole step and of waiting for pictures in it, in seconds; `rank_seconds`: each rank's own work.
  void time(const TrainingState& state, const StepNumbers& numbers, double seconds, double data_seconds);
  void heldout(std::int64_t step, const std::vector<double>& losses);
  void neighbours(std::int64_t step, const std::vector<NeighbourAccuracy::Measured>& measured);
  void health(std::int64_t step, const model::TargetHealth& targets,
              const std::vector<model::FeatureHealth>& features);
  // To stderr and events.jsonl.
  void event(std::int64_t step, const std::string& sentence);

  // Hands the snapshot to the writing thread; the logs are synced first, since a checkpoint must never be ahead of what
  // led to it.
  void save(Snapshot snapshot);
  // Until what was handed over is durable, or the disk did not take it.
  void finish_writing();
  // Of several students: writes one's final networks to students/NAME and reports them as checkpoint-NAME.
  // False: the disk does not take it yet.
  bool finish_student(const std::string& name, const Snapshot& snapshot);
  // Until what was handed over is durable, while the disk refuses at most `patience`. Whether it is.
  bool finish_within(std::chrono::milliseconds patience);
  // The disk has refused the newest.
  bool is_refused() const { return writer_.is_refused(); }
  // Reports the run and, of one student, its final checkpoint, which was taken at `step` and is durable.
  void report_end(std::int64_t step);

 private:
  bool has_several() const { return !names_.front().empty(); }
  std::string health_state() const;
  std::string sync_logs();

  const TrainingPlan& plan_;
  const std::filesystem::path dir_;
  const std::uint64_t fence_;
  ReportChannel& report_;
  CheckpointWriter writer_;
  std::optional<StepLog> metrics_, timing_, heldout_log_, knn_log_, health_log_;
  StepLog events_;
  const std::vector<std::string> names_;  // of the students, in the order of the state's
  HealthWatch ranks_watch_;
  std::vector<HealthWatch> watches_;  // of the students
  HeldoutLosses heldout_losses_;
  std::chrono::steady_clock::time_point reported_{};
  double mean_seconds_ = 0;
};

}  // namespace paddock::jobs
