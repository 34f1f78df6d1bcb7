#include "jobs/spec/training_run.h"

#include <cmath>

#include "jobs/spec/distill.h"
#include "jobs/spec/pretrain.h"

namespace paddock::spec {
namespace {

template <typename Options>
TrainingRun common_run(const Options& options, const TrainingFacts& facts) {
  TrainingRun run;
  run.batch_size = options.batch_size;
  run.shards = resolved_shards(options.shards, options.batch_size);
  run.crops = options.crops;
  run.loss = options.loss;
  run.schedule = options.schedule;
  run.student.image_size = options.crops.global_size;
  run.ranks = facts.ranks;
  run.dataset_pictures = facts.dataset_pictures;
  // Where the machine decides, a GPU is taken to be there, and CPUs to be without bf16 products, as most are.
  const RunSpec& how = options.run;
  run.is_sliced = how.weights == "sliced";  // which is bf16, and whose blocks are plain
  run.is_bf16 = run.is_sliced || facts.is_bf16.value_or(how.precision == "bf16" ||
                                                        (how.precision == "auto" && how.device != "cpu"));
  run.is_fused = !run.is_sliced &&
                 !facts.is_on_gpu.value_or(how.device == "cuda" || (how.device == "auto" && run.is_bf16));
  run.is_checkpointing = how.activation_checkpointing;
  return run;
}

std::optional<TrainingRun> pretrain_run(const OptionTable<PretrainOptions>& table, const Json& with,
                                        const TrainingFacts& facts) {
  const auto options = table.parse(with);
  if (!options) return std::nullopt;
  TrainingRun run = common_run(*options, facts);
  run.student.backbone = resolved(options->backbone);
  run.student.dino_head = options->heads.dino;
  if (options->heads.is_separate) run.student.ibot_head = options->heads.ibot;
  run.mask_probability = options->mask_probability;
  run.mask_ratio = options->mask_ratio;
  if (facts.student) run.student = *facts.student;
  run.begins_from_weights = !options->from.empty();
  run.is_student_known = facts.student || !run.begins_from_weights;
  if (run.is_student_known) run.teacher = run.student;
  return run;
}

// What a student is beside such a teacher, which decides its numbers of prototypes and its heads.
NetworkSize distilled(const StudentSpec& student, std::int64_t image_size,
                      const std::optional<NetworkSize>& teacher) {
  NetworkSize size{resolved(student.backbone), image_size, student.dino_head, std::nullopt};
  if (!teacher) return size;
  size.dino_head.prototypes = teacher->dino_head.prototypes;
  if (teacher->ibot_head) {
    size.ibot_head = student.ibot_head;
    size.ibot_head->prototypes = teacher->ibot_head->prototypes;
  }
  return size;
}

std::optional<TrainingRun> distill_run(const Json& with, const TrainingFacts& facts) {
  const auto options = distill_table().parse(with);
  if (!options) return std::nullopt;
  TrainingRun run = common_run(*options, facts);
  run.is_teacher_frozen = true;
  run.teacher = facts.frozen_teacher;
  for (const auto& [name, student] : students_of(*options))
    run.students.emplace(name, distilled(student, options->crops.global_size, facts.frozen_teacher));
  run.student = facts.student ? *facts.student : run.students.begin()->second;
  if (options->students.empty()) run.students.clear();
  return run;
}

}  // namespace

std::map<std::string, NetworkSize> TrainingRun::learners() const {
  return students.empty() ? std::map<std::string, NetworkSize>{{"", student}} : students;
}

std::int64_t TrainingRun::student_tokens(const NetworkSize& learner) const {
  return 2 * tokens_of(learner.backbone, crops.global_size) +
         local_crops() * tokens_of(learner.backbone, crops.local_size);
}

std::int64_t TrainingRun::teacher_tokens() const {
  return 2 * tokens_of(teacher.value_or(student).backbone, crops.global_size);
}

double TrainingRun::patches_looked_at() const {
  if (loss.ibot_weight == 0) return 0;
  const auto patches = static_cast<double>(2 * patches_of(student.backbone, crops.global_size));
  if (mask_probability == 0) return patches;
  return patches * mask_probability * (mask_ratio.front() + mask_ratio.back()) / 2;
}

double TrainingRun::peak_learning_rate() const {
  return schedule.base_lr * std::sqrt(static_cast<double>(batch_size) / 1024);
}

std::optional<TrainingRun> training_run(const std::string& kind, const Json& with,
                                        const TrainingFacts& facts) {
  if (kind == "pretrain") return pretrain_run(pretrain_table(), with, facts);
  if (kind == "adapt") return pretrain_run(adapt_table(), with, facts);
  if (kind == "distill") return distill_run(with, facts);
  return std::nullopt;
}

}  // namespace paddock::spec
