// model/self_distillation.h – one step of DINOv2: what the student loses against the teacher on a batch of crops.
// Source: DINOv2 (arXiv 2304.07193) §4. Letters: B images of this rank, L local crops, N patches of a global crop, M of
// them looked at by the iBOT loss, D width, K prototypes. Batches are crop-major.
#pragma once

#include "model/collective.h"
#include "model/headed_backbone.h"
#include "model/teacher_targets.h"

namespace paddock::model {

struct CropBatch {
  torch::Tensor globals;          // [2B, C, S, S]
  torch::Tensor locals;           // [L·B, C, s, s]; undefined: none
  torch::Tensor masks_2BN;        // bool: what the student does not see; undefined: everything is seen
  torch::Tensor patches_M;        // int64, flat in 2B·N; undefined: no iBOT loss
  torch::Tensor patch_weights_M;  // float32: 1 / patches of that image in patches_M
};

struct LossOptions {
  std::int64_t local_crops = 8;
  double student_temperature = .1;
  double dino_weight = 1;
  double ibot_weight = 1;
  double koleo_weight = .1;
};

// As the reference displays them: KoLeo and iBOT count half; the optimised total counts them whole.
struct StepLosses {
  torch::Tensor total;                                 // what is optimised, a scalar with a graph
  torch::Tensor dino_local, dino_global, ibot, koleo;  // scalars, weighted, without a graph
};

// The teacher sees the whole global crops, the student masked global and local ones. Collective (the targets are).
StepLosses self_distillation_losses(const HeadedBackbone& student, const HeadedBackbone& teacher,
                                    TeacherTargets& targets, const CropBatch& batch,
                                    const LossOptions& options, double teacher_temperature, Collective& ranks,
                                    const KeptSamples& kept_samples = {}, bool is_update = true);

}  // namespace paddock::model
