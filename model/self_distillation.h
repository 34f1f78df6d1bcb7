// model/self_distillation.h – one step of DINOv2: what the student loses against the teacher on a batch of crops.
// Source: DINOv2 (arXiv 2304.07193) §4. Letters: B images of a shard, L local crops, N patches of a global crop, M of
// them looked at by the iBOT loss, D width, K prototypes. Batches are crop-major.
#pragma once

#include <vector>

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

// A loss of weight 0 is not computed at all: 0 · infinity would not be 0.
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
  torch::Tensor features_2BD;  // the student's class tokens before the head, without a graph, to look at
};

// What the teacher says of a shard.
struct Taught {
  torch::Tensor cls_2BK;       // float32 targets, rows sum to 1
  torch::Tensor patches_MK;    // undefined without an iBOT loss
  torch::Tensor features_2BD;  // its class tokens before the head, to look at
};

// The teacher sees the whole global crops. A batch for each own shard; the targets are balanced over all shards together,
// so all of them are taught before any student looks at one. Collective.
std::vector<Taught> teach(const HeadedBackbone& teacher, TeacherTargets& targets,
                          const std::vector<CropBatch>& batches, double temperature, const Shards& shards,
                          bool is_update = true);

// One shard: the student sees masked global crops and local ones. The KoLeo loss spreads the class tokens of the shard, crop
// by crop. The loss of the global batch is the mean over shards.
StepLosses student_losses(const HeadedBackbone& student, const Taught& taught, const CropBatch& batch,
                          const LossOptions& options, const KeptSamples& kept_samples = {});

}  // namespace paddock::model
