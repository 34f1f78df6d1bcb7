// jobs/spec/distill.h – what a `distill` job may be asked: a smaller student raised by a finished, frozen teacher.
// Source: DINOv2 (arXiv 2304.07193) §5: the pretraining loop without masks and stochastic depth, the iBOT loss over all
// patches of both global crops; the moving average of the student is the result. Patch size, crops and numbers of
// prototypes must fit the teacher's; the number of prototypes is taken from it.
// Artifacts: `checkpoint`, `run`, as pretrain.
#pragma once

#include "jobs/spec/training.h"

namespace paddock::spec {

struct DistillOptions {
  std::string data;  // what is learnt from; these three as pretrain
  std::string data_test;
  double heldout_fraction = 0;
  std::string teacher;  // checkpoint folder of a pretraining run
  std::int64_t batch_size = 64;
  std::int64_t shards = 0;
  std::int64_t seed = 0;
  BackboneSpec student;
  CropsSpec crops;
  AugmentSpec augment;
  HeadSpec dino_head;  // of the student; its prototypes are the teacher's, whatever is given
  HeadSpec ibot_head;
  LossSpec loss;
  ScheduleSpec schedule;
  RunSpec run;
};

const OptionTable<DistillOptions>& distill_table();

}  // namespace paddock::spec
