#include "jobs/distill.h"

#include <stdexcept>

#include "jobs/model_checkpoint.h"

namespace paddock::jobs {
namespace {

// Student and teacher look at the same numbers.
void require_same_pictures(const spec::BackboneSpec& student, const LoadedNetworks& teacher) {
  if (student.channels != teacher.options.backbone.channels)
    throw std::invalid_argument(
        "student.channels is " + std::to_string(student.channels) + ", must be the teacher's " +
        std::to_string(teacher.options.backbone.channels) + ": they see the same pictures");
  if (!student.pixel_mean.empty() && normalization_of(student) != teacher.normalization)
    throw std::invalid_argument("student.pixel_mean and student.pixel_std are not the teacher's, " +
                                normalization_to_json(teacher.normalization).dump() +
                                ": they see the same pictures; leave them out");
}

}  // namespace

TrainingPlan distill_plan(const spec::DistillOptions& options) {
  LoadedNetworks teacher = load_networks(options.teacher);
  if (teacher.options.backbone.patch_size != options.student.patch_size)
    throw std::invalid_argument(
        "student.patch_size is " + std::to_string(options.student.patch_size) + ", must be the teacher's " +
        std::to_string(teacher.options.backbone.patch_size) + ": they are compared patch by patch");
  require_same_pictures(options.student, teacher);
  TrainingPlan plan = common_plan("distill", spec::distill_table().to_json(options), options);
  plan.mask_probability = 0;
  plan.normalization = teacher.normalization;
  plan.student.backbone = backbone_options(options.student, options.crops.global_size);
  plan.student.dino_head = head_options(options.dino_head);
  plan.student.dino_head.prototypes = teacher.options.dino_head.prototypes;
  if (teacher.options.ibot_head) {
    plan.student.ibot_head = head_options(options.ibot_head);
    plan.student.ibot_head->prototypes = teacher.options.ibot_head->prototypes;
  }
  plan.frozen_teacher = std::move(teacher.options);
  plan.frozen_weights = std::move(teacher.weights);
  plan.frozen_hash = std::move(teacher.hash);
  return plan;
}

}  // namespace paddock::jobs
