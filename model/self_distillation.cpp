#include "model/self_distillation.h"

#include "model/dino_loss.h"
#include "model/ibot_loss.h"
#include "model/koleo_loss.h"

namespace paddock::model {

std::vector<Taught> teach(const HeadedBackbone& teacher, TeacherTargets& targets,
                          const std::vector<CropBatch>& batches, double temperature, const Shards& shards,
                          bool is_update) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> cls, patches, features;
  for (const CropBatch& batch : batches) {
    auto scores = score_crops(teacher, {batch.globals, {}}, {}, batch.patches_M);
    cls.push_back(std::move(scores.global_cls));
    features.push_back(std::move(scores.global_features));
    if (batch.patches_M.defined()) patches.push_back(std::move(scores.patches));
  }
  cls = targets.of_cls(cls, temperature, shards, is_update);
  if (!patches.empty()) patches = targets.of_patches(patches, temperature, shards, is_update);
  std::vector<Taught> taught;
  for (std::size_t i = 0; i < batches.size(); ++i)
    taught.push_back({cls[i], patches.empty() ? torch::Tensor() : patches[i], features[i]});
  return taught;
}

StepLosses student_losses(const HeadedBackbone& student, const Taught& taught, const CropBatch& batch,
                          const LossOptions& options, const KeptSamples& kept_samples) {
  const auto scores =
      score_crops(student, {batch.globals, batch.masks_2BN}, batch.locals, batch.patches_M, kept_samples);
  const std::int64_t global_images = batch.globals.size(0);
  const double temperature = options.student_temperature;

  const auto nothing = torch::zeros({}, scores.global_features.options().dtype(torch::kFloat32));
  auto local = nothing, global = nothing, koleo = nothing, ibot = nothing;
  if (options.dino_weight > 0) {
    const double weight = options.dino_weight / static_cast<double>(dino_pairs(options.local_crops));
    local = weight * dino_local_sum(scores.local_cls, taught.cls_2BK, options.local_crops, temperature);
    global = weight * dino_global_sum(scores.global_cls, taught.cls_2BK, temperature);
  }
  auto total = local + global;
  if (options.koleo_weight > 0) {
    const auto crops = scores.global_features.chunk(2, 0);
    koleo = options.koleo_weight * (koleo_loss(crops[0]) + koleo_loss(crops[1]));
    total = total + koleo;
  }
  if (options.ibot_weight > 0 && batch.patches_M.defined() && batch.patches_M.numel() > 0) {
    ibot = options.ibot_weight *
           ibot_loss(scores.patches, taught.patches_MK, batch.patch_weights_M, global_images, temperature);
    total = total + ibot;
  }
  return {total,
          local.detach(),
          global.detach(),
          ibot.detach() / 2,
          koleo.detach() / 2,
          scores.global_features.detach().clone()};
}

}  // namespace paddock::model
