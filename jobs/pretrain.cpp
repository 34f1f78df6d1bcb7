#include "jobs/pretrain.h"

#include <stdexcept>

#include "jobs/initial_networks.h"

namespace paddock::jobs {

TrainingPlan adapt_plan(const spec::PretrainOptions& options) {
  InitialNetworks initial = load_initial_networks(options.from, options.crops.global_size);
  const std::int64_t patch = initial.backbone.patch_size;
  if (options.crops.local_count > 0 && options.crops.local_size % patch != 0)
    throw std::invalid_argument("crops.local_size is " + std::to_string(options.crops.local_size) +
                                ", must be a multiple of " + std::to_string(patch) + ", the patch size of " +
                                options.from);
  TrainingPlan plan = common_plan("adapt", spec::adapt_table().to_json(options), options);
  plan.mask_probability = options.mask_probability;
  plan.mask_ratio = options.mask_ratio;
  plan.head_warmup_steps = options.head_warmup_steps;
  plan.student.backbone = initial.backbone;
  plan.student.backbone.drop_path = options.backbone.drop_path;
  plan.normalization =
      initial.normalization.value_or(data::usual_normalization(static_cast<int>(initial.backbone.channels)));
  plan.student.dino_head = initial.dino_head.value_or(head_options(options.heads.dino));
  plan.student.ibot_head = initial.ibot_head;
  if (!initial.dino_head && options.heads.is_separate)
    plan.student.ibot_head = head_options(options.heads.ibot);
  plan.initial_weights = std::move(initial.weights);
  plan.initial_hash = std::move(initial.hash);
  return plan;
}

TrainingPlan pretrain_plan(const spec::PretrainOptions& options) {
  TrainingPlan plan = common_plan("pretrain", spec::pretrain_table().to_json(options), options);
  plan.mask_probability = options.mask_probability;
  plan.mask_ratio = options.mask_ratio;
  plan.student.backbone = backbone_options(options.backbone, options.crops.global_size);
  plan.normalization = normalization_of(options.backbone);
  plan.student.dino_head = head_options(options.heads.dino);
  if (options.heads.is_separate) plan.student.ibot_head = head_options(options.heads.ibot);
  return plan;
}

}  // namespace paddock::jobs
