#include "jobs/distill.h"

#include <stdexcept>

#include "jobs/model_checkpoint.h"

namespace paddock::jobs {
namespace {

// Student and teacher look at the same numbers, patch by patch. `key`: of the student's options.
void require_same_pictures(const spec::BackboneSpec& student, const std::string& key,
                           const LoadedNetworks& teacher) {
  const auto require_same = [&](const char* what, std::int64_t own, std::int64_t of_teacher,
                                const char* reason) {
    if (own != of_teacher)
      throw std::invalid_argument(key + "." + what + " is " + std::to_string(own) +
                                  ", must be the teacher's " + std::to_string(of_teacher) + ": " + reason);
  };
  require_same("patch_size", student.patch_size, teacher.options.backbone.patch_size,
               "they are compared patch by patch");
  require_same("channels", student.channels, teacher.options.backbone.channels, "they see the same pictures");
  if (!student.pixel_mean.empty() && normalization_of(student) != teacher.normalization)
    throw std::invalid_argument(key + ".pixel_mean and " + key + ".pixel_std are not the teacher's, " +
                                normalization_to_json(teacher.normalization).dump() +
                                ": they see the same pictures; leave them out");
}

// With the teacher's numbers of prototypes, and a head of patches where it has one.
model::HeadedBackboneOptions networks_of(const spec::StudentSpec& student, std::int64_t image_size,
                                         const model::HeadedBackboneOptions& teacher) {
  model::HeadedBackboneOptions networks;
  networks.backbone = backbone_options(student.backbone, image_size);
  networks.dino_head = head_options(student.dino_head);
  networks.dino_head.prototypes = teacher.dino_head.prototypes;
  if (teacher.ibot_head) {
    networks.ibot_head = head_options(student.ibot_head);
    networks.ibot_head->prototypes = teacher.ibot_head->prototypes;
  }
  return networks;
}

}  // namespace

TrainingPlan distill_plan(const spec::DistillOptions& options) {
  LoadedNetworks teacher = load_networks(options.teacher);
  TrainingPlan plan = common_plan("distill", spec::distill_table().to_json(options), options);
  plan.mask_probability = 0;
  plan.normalization = teacher.normalization;
  for (const auto& [name, student] : spec::students_of(options)) {
    require_same_pictures(student.backbone, spec::student_key(name), teacher);
    plan.students[name] = networks_of(student, options.crops.global_size, teacher.options);
  }
  plan.student = plan.students.begin()->second;
  if (options.students.empty()) plan.students.clear();
  plan.frozen_teacher = std::move(teacher.options);
  plan.frozen_weights = std::move(teacher.weights);
  plan.frozen_hash = std::move(teacher.hash);
  return plan;
}

}  // namespace paddock::jobs
