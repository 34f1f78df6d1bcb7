// jobs/training.h – the loop that pretrain and distill share: batches in, a moving average of the student out.
// The run's folder: checkpoints/, metrics.jsonl (a line a step, the same bits however often the run was killed),
// timing.jsonl (seconds, which differ), heldout.jsonl (loss on the test split), attempts.jsonl (who began where),
// tar-index/ (where the members of tars lie whose own folders cannot be written); of several students students/NAME/, which
// has the checkpoint of each at the end.
// Promise: killed at any instant and started again with the same options, on any number of ranks up to plan.shards with the
// same number of threads each, a run ends in the same bits as one that was never killed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "jobs/rank_environment.h"
#include "jobs/report_channel.h"
#include "jobs/roll_call.h"
#include "jobs/training_plan.h"
#include "model/collective.h"

namespace paddock::jobs {

struct TrainingHooks {
  std::function<void(std::int64_t step)> after_step;  // tests throw here, to be killed
  // Of each student and shard, before they are summed; `data_step`: whose samples they come from. Tests spoil them here, on one
  // rank: of several, those of the last shard have left by then (model/gradient_sum.h).
  std::function<void(std::int64_t data_step, const std::string& student, torch::Tensor& gradients)>
      on_gradients;
};

enum class TrainingEnd { kFinished, kStopped };  // kStopped: asked to, after saving

// Runs or resumes the run in `dir` to its end. Collective: every rank calls it. Rank 0 writes. Give the plan away
// (std::move): a frozen teacher's weights are freed once its network has them. `roll_call`: for several ranks, so that one that
// hangs is named.
// Throws std::invalid_argument when the options fit neither the data nor the run in `dir`, std::runtime_error for the world
// and when the losses stay without a finite value.
TrainingEnd train(TrainingPlan plan, const std::filesystem::path& dir, const RankEnvironment& environment,
                  model::Collective& ranks, ReportChannel& report, const TrainingHooks& hooks = {},
                  std::shared_ptr<RollCall> roll_call = nullptr);

}  // namespace paddock::jobs
