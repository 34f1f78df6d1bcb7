#include "jobs/pretrain.h"

namespace paddock::jobs {

TrainingPlan pretrain_plan(const spec::PretrainOptions& options) {
  TrainingPlan plan = common_plan("pretrain", spec::pretrain_table().to_json(options), options);
  plan.mask_probability = options.mask_probability;
  plan.mask_ratio = options.mask_ratio;
  plan.student.backbone = backbone_options(options.backbone, options.crops.global_size);
  plan.student.dino_head = head_options(options.heads.dino);
  if (options.heads.is_separate) plan.student.ibot_head = head_options(options.heads.ibot);
  return plan;
}

}  // namespace paddock::jobs
