#include "model/self_distillation.h"

#include "model/dino_loss.h"
#include "model/ibot_loss.h"
#include "model/koleo_loss.h"

namespace paddock::model {
namespace {

struct Targets {
  torch::Tensor cls_2BK, patches_MK;
};

Targets teach(const HeadedBackbone& teacher, TeacherTargets& targets, const CropBatch& batch,
              double temperature, Collective& ranks, bool is_update) {
  const torch::NoGradGuard no_grad;
  const auto scores = score_crops(teacher, {batch.globals, {}}, {}, batch.patches_M);
  Targets result;
  result.cls_2BK = targets.of_cls(scores.global_cls, temperature, ranks, is_update);
  if (batch.patches_M.defined())
    result.patches_MK = targets.of_patches(scores.patches, temperature, ranks, is_update);
  return result;
}

}  // namespace

StepLosses self_distillation_losses(const HeadedBackbone& student, const HeadedBackbone& teacher,
                                    TeacherTargets& targets, const CropBatch& batch,
                                    const LossOptions& options, double teacher_temperature, Collective& ranks,
                                    const KeptSamples& kept_samples, bool is_update) {
  const auto taught = teach(teacher, targets, batch, teacher_temperature, ranks, is_update);
  const auto scores =
      score_crops(student, {batch.globals, batch.masks_2BN}, batch.locals, batch.patches_M, kept_samples);
  const auto pairs = static_cast<double>(dino_pairs(options.local_crops));
  const std::int64_t global_images = batch.globals.size(0);
  const double temperature = options.student_temperature;

  const auto local = options.dino_weight / pairs *
                     dino_local_sum(scores.local_cls, taught.cls_2BK, options.local_crops, temperature);
  const auto global =
      options.dino_weight / pairs * dino_global_sum(scores.global_cls, taught.cls_2BK, temperature);
  auto total = local + global;
  auto koleo = torch::zeros({}, total.options());
  if (options.koleo_weight > 0) {
    const auto crops = scores.global_features.chunk(2, 0);
    koleo = options.koleo_weight * (koleo_loss(crops[0]) + koleo_loss(crops[1]));
    total = total + koleo;
  }
  auto ibot = torch::zeros({}, total.options());
  if (batch.patches_M.defined() && batch.patches_M.numel() > 0) {
    ibot = options.ibot_weight *
           ibot_loss(scores.patches, taught.patches_MK, batch.patch_weights_M, global_images, temperature);
    total = total + ibot;
  }
  return {total, local.detach(), global.detach(), ibot.detach() / 2, koleo.detach() / 2};
}

}  // namespace paddock::model
